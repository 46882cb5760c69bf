//! [`CustomPackages`] and [`Entitlements::packages`]

use roadcast_domain::event::EventType;
use roadcast_domain::package::{CustomPackage, Package, PackageName, Packages};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::entitlements::Entitlements;
use crate::packages::CustomPackages;

/// Checks [`CustomPackages`] and [`Entitlements`] on the same store.
pub async fn custom_packages(packages: &impl CustomPackages, entitlements: &impl Entitlements, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let name = |suffix: &str| format!("p{}-{suffix}", fixtures.word()).parse().expect("a package name");
    let names: [PackageName; 2] = [name("a"), name("b")];
    let package = |name: &PackageName, version: u64| CustomPackage {
        package: Package {
            name: name.clone(),
            signals: (0..version).map(|n| format!("Vehicle.Cabin.Seat{n}.*")).collect(),
            event_types: EventType::from_name("com.example.tyre.v1").into_iter().collect(),
        },
        version,
        created_at: NOON,
        updated_at: NOON.plus_ms(i64::try_from(version).expect("few versions")),
    };
    let entitlements_version = async || entitlements.version().await.expect("version succeeds");
    let granted = async |name: &str| {
        let all = entitlements.packages().await.expect("packages succeeds");
        for built_in in Packages::built_in().iter() {
            assert_eq!(all.get(built_in.name.as_str()), Some(built_in), "a built-in package is unchanged");
        }
        all.get(name).cloned()
    };
    let stored = async |name: &PackageName| {
        let got = packages.get(name).await.expect("get succeeds");
        let listed = packages.list().await.expect("list succeeds");
        assert!(listed.is_sorted_by(|a, b| a.package.name < b.package.name), "packages are listed once, ordered by name");
        let listed = listed.into_iter().find(|listed| listed.package.name == *name);
        assert_eq!(got, listed, "list and get agree");
        assert_eq!(granted(name.as_str()).await, got.clone().map(|got| got.package), "the stored package is granted");
        got
    };
    let put_error = async |package: &CustomPackage| packages.put(package).await.map_err(|error| error.kind());

    let name = &names[0];
    assert_eq!(stored(name).await, None, "a package does not exist before it is created");
    assert_eq!(put_error(&package(name, 2)).await, Err(PortErrorKind::Conflict), "the first version is 1");
    for version in 1..=11 {
        let before = entitlements_version().await;
        packages.put(&package(name, version)).await.expect("the next version is stored");
        assert_ne!(entitlements_version().await, before, "a new version changes the entitlements version");
        assert_eq!(stored(name).await, Some(package(name, version)), "a package is returned unchanged");
    }
    packages.put(&package(&names[1], 1)).await.expect("another package has its own versions");
    let before = entitlements_version().await;
    for version in [1, 10, 11, 13] {
        assert_eq!(put_error(&package(name, version)).await, Err(PortErrorKind::Conflict), "{version} does not follow 11");
    }
    assert_eq!(entitlements_version().await, before, "a rejected package does not change the entitlements version");
    assert_eq!(stored(name).await, Some(package(name, 11)), "a rejected package changes nothing");
    assert_eq!(stored(&names[1]).await, Some(package(&names[1], 1)), "another package is unchanged");

    let reserved = CustomPackage {
        package: Package { name: "alerts".parse().expect("a package name"), ..package(name, 1).package },
        ..package(name, 1)
    };
    // A store may accept or reject it. If it accepts it, a repeated run of the suite finds it stored.
    let _ignored = packages.put(&reserved).await;
    assert_eq!(granted("alerts").await.as_ref(), Packages::built_in().get("alerts"), "the built-in package is used");
}
