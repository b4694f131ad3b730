//! The power goes at any step: never two grants, never a free guess, never a lost outcome.

use crate::bench::{MORNING, NOON, Scene, at};
use crate::concurrency::World;
use crate::schedule::every_schedule;
use doorstep::refusal::Refusal;

/// Runs every schedule of these presentations with at most `cuts` power cuts.
fn all_cuts(
    scene: &Scene,
    cuts: usize,
    people: &[crate::bench::Presentation],
    mut check: impl FnMut(&World),
) {
    every_schedule(|schedule| {
        let mut world = World::new(scene, people);
        let mut left = cuts;
        loop {
            let waiting = world.waiting();
            if waiting.is_empty() {
                break;
            }
            if schedule.has_seen(&(world.state(), left)) {
                return;
            }
            let appending = if left > 0 { world.appending() } else { Vec::new() };
            let options = waiting.len() + appending.len() + usize::from(left > 0);
            let choice = schedule.choose(options);
            if let Some(who) = waiting.get(choice) {
                world.step(*who);
            } else {
                left -= 1;
                match appending.get(choice - waiting.len()) {
                    Some(who) => world.append_and_cut(*who),
                    None => world.cut(),
                }
            }
            // Whatever is shown is uploaded, were the device to come back now.
            assert!(world.journal.device().upload(10).claims.len() >= world.grants);
            assert!(world.compared <= world.attempts(), "never a free guess");
        }
        check(&world);
    });
}

#[test]
fn a_right_code_survives_three_cuts_without_a_second_grant() {
    let scene = Scene::new();
    all_cuts(&scene, 3, &[scene.typed(&scene.code(0))], |world| {
        // A cut between the spending and the green screen: spent, and told so when asked again.
        assert_eq!(world.is_spent(), world.journal.device().count_claims() == 1);
        assert!(world.is_spent(), "four attempts of five reach the end");
        match world.refusals()[..] {
            [] => assert_eq!(world.grants, 1),
            [Refusal::AlreadyUsed { .. }] => assert_eq!(world.grants, 0),
            ref others => panic!("{others:?}"),
        }
    });
}

#[test]
fn cuts_never_give_a_guess_back() {
    let scene = Scene::with_budget(2);
    all_cuts(&scene, 4, &[scene.typed(&scene.wrong()[0])], |world| {
        assert!(world.compared <= 2);
        assert!(world.attempts() <= 2);
        assert_eq!(world.grants, 0);
    });
}

#[test]
fn two_processes_and_a_cut_get_at_most_one_grant() {
    let scene = Scene::with_budget(3);
    let people = [scene.typed(&scene.code(0)), scene.typed(&scene.code(1))];
    all_cuts(&scene, 1, &people, |world| assert!(world.grants <= 1 && world.attempts() <= 3));
}

/// A day of one device, cut after each of its records and replayed from what is durable.
#[test]
fn every_prefix_of_a_journal_is_a_state_the_device_was_in() {
    let mut scene = Scene::new();
    let wrong = scene.wrong();
    let delivery = scene.delivery;
    scene.phone.tick(at(MORNING + 100));
    scene.phone.type_in(delivery, &wrong[0], NOON).unwrap_err();
    scene.phone.type_in(delivery, &wrong[1], NOON).unwrap_err();
    scene.phone.type_in(delivery, &scene.code(0), NOON).unwrap();
    scene.issuer.acknowledge(&mut scene.phone, 1, NOON, NOON);
    let whole = scene.phone.journal.clone();
    let (mut attempts, mut spent, mut received) = (0, false, 0);
    for length in 1..=whole.len() {
        let device = whole.cut(length).device();
        assert_eq!(device.head(), whole.device().head_at(device.head().seq).unwrap());
        let Some(known) = device.stop(delivery) else { continue };
        assert!(known.attempts >= attempts, "attempts are only counted up");
        assert!(known.spent.is_some() >= spent, "spent stays spent");
        assert_eq!(known.spent.is_some(), device.count_claims() == 1, "spent is the claim itself");
        (attempts, spent) = (known.attempts, known.spent.is_some());
        if spent {
            let again = scene.typed(&scene.code(0)).attempt(&device, NOON).unwrap_err();
            assert!(matches!(again, Refusal::AlreadyUsed { .. }));
        }
        let waiting = u64::try_from(device.upload(10).claims.len()).unwrap();
        assert_eq!(waiting + device.received(), device.count_claims(), "no outcome is lost");
        assert!(device.received() >= received);
        received = device.received();
    }
    assert_eq!((attempts, spent, received), (3, true, 1));
}
