//! Checks of the registry of vehicles while the secret of the stack is rotated.

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_aws::{DynamoVehicles, OsRandomness, Sdk, SecretsManagerSource};
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::conformance::{self as suites, Fixtures};
use roadcast_ports::vehicles::{VehicleNames, VehicleRegistration, Vehicles};
use sha2::{Digest as _, Sha256};

use crate::stack::Stack;

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    no_key_contains_the_plain_digest_of_a_vin(sdk, stack).await;
    vehicles_keep_their_vins_through_two_rotations(sdk, stack).await;
    println!("rotation of the secret");
}

/// Returns the registry of a function that has not cached the secret yet.
fn fresh(sdk: &Sdk, stack: &Stack) -> DynamoVehicles {
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), &stack.secret);
    DynamoVehicles::new(sdk.dynamodb(), &stack.vehicles, &stack.reference, secrets)
}

/// Rotates the secret as `docs/operations/rotate-secret.md` describes. Returns the registry of a function that knows the new
/// secret as pending, as other functions do for some minutes.
async fn rotate(sdk: &Sdk, stack: &Stack) -> DynamoVehicles {
    let new = add_pending(sdk, &stack.secret).await;
    let before = fresh(sdk, stack);
    before.resolve(&Subject::Vin("WVWZZZ3CZEE140287".parse().unwrap())).await.unwrap();
    promote(sdk, &stack.secret, new).await;
    before
}

/// Rotates a secret at once.
pub(crate) async fn rotate_secret(sdk: &Sdk, secret: &str) {
    let new = add_pending(sdk, secret).await;
    promote(sdk, secret, new).await;
}

async fn add_pending(sdk: &Sdk, secret: &str) -> Option<String> {
    let client = sdk.secrets_manager();
    let value = client.get_random_password().password_length(64).send().await.unwrap().random_password;
    let put = client.put_secret_value().secret_id(secret).set_secret_string(value);
    put.version_stages("AWSPENDING").send().await.unwrap().version_id
}

async fn promote(sdk: &Sdk, secret: &str, new: Option<String>) {
    let client = sdk.secrets_manager();
    let current = client.get_secret_value().secret_id(secret).send().await.unwrap().version_id;
    let promote = client.update_secret_version_stage().secret_id(secret).version_stage("AWSCURRENT");
    promote.set_move_to_version_id(new.clone()).set_remove_from_version_id(current).send().await.unwrap();
    let finish = client.update_secret_version_stage().secret_id(secret).version_stage("AWSPENDING");
    finish.set_remove_from_version_id(new).send().await.unwrap();
}

async fn no_key_contains_the_plain_digest_of_a_vin(sdk: &Sdk, stack: &Stack) {
    let vehicle = Fixtures::new(&OsRandomness).vehicle();
    fresh(sdk, stack).register(&vehicle).await.unwrap();
    let vin = vehicle.details.vin.unwrap();
    let digest = hex::encode(Sha256::digest(vin.as_str()));
    let items = sdk.dynamodb().scan().table_name(&stack.reference).send().await.unwrap().items.unwrap();
    let is_key_of_vin =
        |item: &&std::collections::HashMap<String, AttributeValue>| item["pk"].as_s().unwrap().starts_with("vin#");
    let keys: Vec<_> = items.iter().filter(is_key_of_vin).map(|item| item["pk"].as_s().unwrap()).collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| !key.contains(&digest) && !key.contains(vin.as_str())));
}

async fn vehicles_keep_their_vins_through_two_rotations(sdk: &Sdk, stack: &Stack) {
    let fixtures = Fixtures::new(&OsRandomness);
    let [first, changed, retired] = [fixtures.vehicle(), fixtures.vehicle(), fixtures.vehicle()];
    let original = fresh(sdk, stack);
    for vehicle in [&first, &changed, &retired] {
        assert_eq!(original.register(vehicle).await.unwrap(), VehicleRegistration::New);
    }
    let before = rotate(sdk, stack).await;
    let after = fresh(sdk, stack);
    for registry in [&before, &after] {
        for vehicle in [&first, &changed, &retired] {
            let again = Vehicle { vid: fixtures.vid(), ..vehicle.clone() };
            let registered = registry.register(&again).await.unwrap();
            assert_eq!(registered, VehicleRegistration::Existing(Box::new(vehicle.clone())), "the VIN stays unique");
            assert_eq!(resolve(registry, vehicle).await.as_ref(), Some(&vehicle.vid), "the VIN is found");
        }
    }
    // Functions before and after the rotation find each other's vehicles, and remove all entries of a VIN.
    for (one, other) in [(&before, &after), (&after, &before)] {
        let vehicle = fixtures.vehicle();
        assert_eq!(one.register(&vehicle).await.unwrap(), VehicleRegistration::New);
        let again = Vehicle { vid: fixtures.vid(), ..vehicle.clone() };
        assert_ne!(other.register(&again).await.unwrap(), VehicleRegistration::New, "registered by the other function");
        other.replace(&retire(&vehicle)).await.unwrap();
        assert_eq!((resolve(one, &vehicle).await, resolve(other, &vehicle).await), (None, None));
        assert_eq!(one.register(&again).await.unwrap(), VehicleRegistration::New, "no entry is left");
    }
    after.replace(&retire(&retired)).await.unwrap();
    let rekeyed = Vehicle { version: changed.version + 1, ..changed.clone() };
    after.replace(&rekeyed).await.unwrap();
    suites::vehicles(&after, &OsRandomness).await;
    suites::vehicle_names(&after, &OsRandomness).await;

    rotate(sdk, stack).await;
    let last = fresh(sdk, stack);
    assert_eq!(resolve(&last, &changed).await, Some(changed.vid.clone()), "written since the first rotation");
    assert_eq!(resolve(&last, &retired).await, None);
    assert_eq!(resolve(&last, &first).await, None, "not written before the second rotation");
}

fn retire(vehicle: &Vehicle) -> Vehicle {
    let retired_at = Some(vehicle.updated_at);
    Vehicle { version: vehicle.version + 1, retired_at, ..vehicle.clone() }
}

async fn resolve(registry: &DynamoVehicles, vehicle: &Vehicle) -> Option<roadcast_domain::ids::VehicleId> {
    let vin = vehicle.details.vin.clone().unwrap();
    let found = registry.resolve(&Subject::Vin(vin.clone())).await.unwrap();
    let listed = registry.resolve_all(&[VehicleName::Vin(vin)]).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&found), "resolve_all returns what resolve returns");
    found
}
