//! The device's clock set back, set forward, and at the ends of time.

use crate::bench::{HOUR, MORNING, NOON, Scene, at};
use doorstep::refusal::Refusal;

/// The end of the window of every stop on the bench.
const END: u64 = MORNING + 6 * HOUR;

// GA PAM: a clock that was set back cleared what was used and what was limited.
#[test]
fn a_clock_set_back_revives_nothing() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.tick(at(END + 60));
    for clock in [0, MORNING, END - 1, END + 60] {
        let answer = scene.phone.type_in(scene.delivery, &code, at(clock)).map(drop);
        assert_eq!(answer, Err(Refusal::Expired { until: at(END) }), "{clock}");
        assert_eq!(scene.phone.device().now(at(clock)), at(END + 60));
    }
}

#[test]
fn a_clock_set_back_gives_no_attempt_and_no_delivery_back() {
    let mut scene = Scene::new();
    let wrong = scene.wrong();
    scene.phone.type_in(scene.delivery, &wrong[0], NOON).unwrap_err();
    let answer = scene.phone.type_in(scene.delivery, &wrong[1], at(0)).map(drop);
    assert_eq!(answer, Err(Refusal::WrongCode { left: Some(3) }));
    let code = scene.code(0);
    let grant = scene.phone.type_in(scene.delivery, &code, at(0)).unwrap();
    assert_eq!(grant.at(), NOON, "never earlier than what was written down");
    for clock in [0, MORNING, u64::MAX] {
        let answer = scene.phone.type_in(scene.delivery, &code, at(clock)).map(drop);
        assert_eq!(answer, Err(Refusal::AlreadyUsed { at: NOON }));
    }
}

#[test]
fn a_clock_set_forward_expires_until_a_newer_signed_time() {
    for ahead in [END + 100 * 24 * HOUR, u64::MAX] {
        let mut scene = Scene::new();
        let code = scene.code(0);
        scene.phone.tick(at(ahead));
        // Set right again, but the mark stands.
        let answer = scene.phone.type_in(scene.delivery, &code, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::Expired { until: at(END) }));
        // A signed time that the device has seen before proves nothing.
        let seen = scene.phone.device().signed_time();
        scene.issuer.acknowledge(&mut scene.phone, 0, seen, NOON);
        let answer = scene.phone.type_in(scene.delivery, &code, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::Expired { until: at(END) }));
        scene.issuer.acknowledge(&mut scene.phone, 0, NOON, NOON);
        let grant = scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
        assert_eq!(grant.at(), NOON);
    }
}

#[test]
fn a_signed_time_is_a_floor_for_a_clock_that_stands_still() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.issuer.acknowledge(&mut scene.phone, 0, at(END), at(0));
    let answer = scene.phone.type_in(scene.delivery, &code, at(0)).map(drop);
    assert_eq!(answer, Err(Refusal::Expired { until: at(END) }));
}

#[test]
fn a_newer_signed_time_revives_nothing_that_it_is_past() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.tick(at(u64::MAX));
    scene.issuer.acknowledge(&mut scene.phone, 0, at(END + 1), at(END + 1));
    let answer = scene.phone.type_in(scene.delivery, &code, NOON).map(drop);
    assert_eq!(answer, Err(Refusal::Expired { until: at(END) }));
}

/// The acknowledgement resets the clock; the route that follows in the same second must not make
/// the device forget its stops because the clock still runs ahead.
#[test]
fn a_clock_that_runs_ahead_forgets_no_stop() {
    let mut scene = Scene::new();
    let ahead = at(MORNING + 400 * 24 * HOUR);
    let code = scene.code(0);
    scene.issuer.acknowledge(&mut scene.phone, 0, NOON, ahead);
    let newer = scene.issuer.generation(&scene.phone, crate::bench::delivery("dlv_2"), 1);
    let mut route = scene.issuer.route(&scene.phone, 2, &[&newer.stop], &[]);
    route.time = NOON;
    let document = scene.issuer.seal(&scene.phone, &route);
    scene.phone.take_in(&document, ahead);
    assert_eq!(scene.phone.device().stops().count(), 2);
    scene.issuer.acknowledge(&mut scene.phone, 0, NOON.later(1), NOON.later(1));
    scene.phone.type_in(scene.delivery, &code, NOON.later(2)).unwrap();
}

#[test]
fn the_clock_is_written_down_each_minute() {
    let scene = Scene::new();
    let device = scene.phone.device();
    let mark = device.now(at(0));
    assert!(device.tick(mark.later(59)).is_none());
    assert!(device.tick(mark.later(60)).is_some());
    assert!(device.tick(at(0)).is_none(), "backward is not written down");
    assert!(device.tick(at(u64::MAX)).is_some());
}

#[test]
fn the_first_second_and_the_last_there_is_do_not_panic() {
    for clock in [0, u64::MAX] {
        let mut scene = Scene::new();
        let code = scene.code(0);
        let _ = scene.phone.type_in(scene.delivery, &code, at(clock));
        let text = scene.scan_text(1);
        let _ = scene.phone.scan(&text, at(clock));
        scene.phone.tick(at(clock));
        scene.issuer.acknowledge(&mut scene.phone, 0, at(clock), at(clock));
        let newer = scene.issuer.generation(&scene.phone, scene.delivery, 2);
        scene.issuer.hand_out(&mut scene.phone, 2, &[&newer.stop]);
        scene.phone.device();
    }
}
