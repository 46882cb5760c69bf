//! [`Fleets`]

use roadcast_domain::fleet::Fleet;

use super::fresh::Fresh;
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::fleets::Fleets;

/// What every [`Fleets`] does.
pub async fn fleets(fleets: &impl Fleets, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let mine = [fresh.fleet("bus-a"), fresh.fleet("bus-b"), fresh.fleet("bus-a")];
    for fleet in &mine {
        assert_eq!(
            fleets.get(&fleet.fleet_id).await.expect("get answers"),
            None,
            "a fleet is not there before it is created"
        );
        fleets.create(fleet, None).await.expect("a new fleet is created");
        let kept = fleets.get(&fleet.fleet_id).await.expect("get answers");
        assert_eq!(kept.as_ref(), Some(fleet), "a fleet is kept as it was given");
    }

    let usurper = Fleet { name: "other".to_owned(), ..mine[0].clone() };
    let refused = fleets.create(&usurper, None).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Conflict), "an id that is taken is a conflict");
    let kept = fleets.get(&mine[0].fleet_id).await.expect("get answers");
    assert_eq!(kept.as_ref(), Some(&mine[0]), "a refused fleet changes nothing");

    for limit in [1, 2, 1000] {
        let mut listed: Vec<Fleet> = Vec::new();
        loop {
            let page = fleets.list(listed.last().map(|fleet| &fleet.fleet_id), limit).await.expect("list answers");
            assert!(page.len() <= limit, "a page holds at most its limit of {limit}");
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert!(listed.is_sorted_by(|a, b| a.fleet_id < b.fleet_id), "fleets are listed by id, each once");
        for fleet in &mine {
            assert!(listed.contains(fleet), "every fleet is listed, as it is kept");
        }
    }
}
