//! [`CustomPackages`] and [`Entitlements::packages`]

use roadcast_domain::event::EventType;
use roadcast_domain::package::{CustomPackage, Package, Packages};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::entitlements::Entitlements;
use crate::packages::CustomPackages;

/// What every pair of [`CustomPackages`] and [`Entitlements`] over the same store does.
pub async fn custom_packages(packages: &impl CustomPackages, entitlements: &impl Entitlements, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let names = [format!("p{}-a", fresh.word()), format!("p{}-b", fresh.word())];
    let package = |name: &str, version: u64| CustomPackage {
        package: Package {
            name: name.to_owned(),
            signals: (0..version).map(|n| format!("Vehicle.Cabin.Seat{n}.*")).collect(),
            event_types: EventType::from_name("com.example.tyre.v1").into_iter().collect(),
        },
        version,
        created_at: NOON,
        updated_at: NOON.plus_ms(i64::try_from(version).expect("few versions")),
    };
    let counted = async || entitlements.version().await.expect("the version is answered");
    let granted = async |name: &str| {
        let all = entitlements.packages().await.expect("packages answers");
        for seed in Packages::built_in().iter() {
            assert_eq!(all.get(&seed.name), Some(seed), "a seed package is there as it always was");
        }
        all.get(name).cloned()
    };
    let kept = async |name: &str| {
        let got = packages.get(name).await.expect("get answers");
        let listed = packages.list().await.expect("list answers");
        assert!(listed.is_sorted_by(|a, b| a.package.name < b.package.name), "each is listed once, by name");
        let listed = listed.into_iter().find(|listed| listed.package.name == name);
        assert_eq!(got, listed, "a list and a look-up agree");
        assert_eq!(granted(name).await, got.clone().map(|got| got.package), "what is kept is what is granted");
        got
    };
    let refused = async |package: &CustomPackage| packages.put(package).await.map_err(|error| error.kind());

    let name = &names[0];
    assert_eq!(kept(name).await, None, "a package is not there before it is made");
    assert_eq!(refused(&package(name, 2)).await, Err(PortErrorKind::Conflict), "the first version is 1");
    for version in 1..=11 {
        let before = counted().await;
        packages.put(&package(name, version)).await.expect("the next version is kept");
        assert_ne!(counted().await, before, "who remembers entitlements learns that there is another package");
        assert_eq!(kept(name).await, Some(package(name, version)), "it is kept as it was given");
    }
    packages.put(&package(&names[1], 1)).await.expect("another package has versions of its own");
    let before = counted().await;
    for version in [1, 10, 11, 13] {
        assert_eq!(refused(&package(name, version)).await, Err(PortErrorKind::Conflict), "{version} does not follow 11");
    }
    assert_eq!(counted().await, before, "what is refused is no change");
    assert_eq!(kept(name).await, Some(package(name, 11)), "nor does it change the package");
    assert_eq!(kept(&names[1]).await, Some(package(&names[1], 1)), "or another one");

    let own =
        CustomPackage { package: Package { name: "alerts".to_owned(), ..package(name, 1).package }, ..package(name, 1) };
    // Whether a store takes it or not: who runs the suite again finds it kept.
    let _kept_or_not = packages.put(&own).await;
    assert_eq!(granted("alerts").await.as_ref(), Packages::built_in().get("alerts"), "the seed wins");
}
