//! Passes and riders in words and for machines, as the lock's inside knows them. Nothing here opens a lock.

use crate::text::{clock_face, rfc3339, span_text};
use doorstep::clock::Belief;
use doorstep::cose::keys::Signer;
use doorstep::pass::claims::{Pass, PassId, Uses};
use doorstep::pass::document::Content;
use doorstep::pass::key::{TrustedKey, name_of};
use doorstep::pass::reader::Reader;
use doorstep::pass::rider::Rider;
use doorstep::pass::state::State;
use doorstep::time::{Timestamp, Window};
use serde_json::{Value, json};

/// Bytes as digits of base 16.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn id_text(id: &PassId) -> String {
    hex(id.as_bytes())
}

/// The name of a key, as documents give it.
pub(super) fn key_text(key: &Signer) -> String {
    hex(&name_of(key))
}

/// Between which times, in words.
pub(super) fn window_text(window: &Window, now: Timestamp) -> String {
    let (from, until) = (window.from(), window.until());
    match (from.seconds(), until.seconds()) {
        (0, u64::MAX) => "at all times".to_owned(),
        (_, u64::MAX) => format!("from {} on", clock_face(from, now)),
        _ => format!("{} to {}", clock_face(from, now), clock_face(until, now)),
    }
}

/// The end of a window for machines, without one for what has none.
pub(super) fn end_json(window: &Window) -> Value {
    let end = window.until();
    if end.seconds() == u64::MAX { Value::Null } else { json!(rfc3339(end)) }
}

pub(super) fn content_text(content: &Content, now: Timestamp) -> String {
    match content {
        Content::Pass(pass) => pass_text(pass, now),
        Content::Rider(rider) => rider_text(rider, now),
    }
}

pub(super) fn pass_text(pass: &Pass, now: Timestamp) -> String {
    let uses = match pass.scope.uses {
        Uses::Many => String::new(),
        Uses::Once => ", opens once".to_owned(),
        Uses::Times(times) => format!(", opens {times} times"),
    };
    let lasts = pass
        .lasts
        .map(|seconds| format!(", for {} from its first use", span_text(u64::from(seconds.get()))));
    let holder = if pass.holder.is_some() { ", with its holder's phone" } else { "" };
    let (id, window) = (id_text(&pass.id), window_text(&pass.window, now));
    format!("pass {id}, {window}{uses}{}{holder}", lasts.unwrap_or_default())
}

pub(super) fn rider_text(rider: &Rider, now: Timestamp) -> String {
    match rider {
        Rider::Bulletin(bulletin) => {
            let count = bulletin.revoked.prefixes().len();
            format!("bulletin {}, with {}", bulletin.sequence, passes(count))
        }
        Rider::Token(token) => {
            format!("answer to the lock that it is {}", clock_face(token.issued_at, now))
        }
        Rider::Rotation(rotation) => {
            let (key, window) = (key_text(&rotation.key), window_text(&rotation.window, now));
            format!("rotation {}, key {key}, {window}", rotation.sequence)
        }
    }
}

/// So many revoked passes, in words.
pub(super) fn passes(count: usize) -> String {
    match count {
        0 => "no revoked pass".to_owned(),
        1 => "1 revoked pass".to_owned(),
        count => format!("{count} revoked passes"),
    }
}

pub(super) fn content_json(content: &Content) -> Value {
    match content {
        Content::Pass(pass) => pass_json(pass),
        Content::Rider(rider) => rider_json(rider),
    }
}

pub(super) fn pass_json(pass: &Pass) -> Value {
    json!({
        "kind": "pass", "id": id_text(&pass.id),
        "audience": pass.audience.as_ref().map(|audience| audience.as_str()),
        "from": rfc3339(pass.window.from()), "until": rfc3339(pass.window.until()),
        "issued_at": pass.issued_at.map(rfc3339), "bearer": pass.holder.is_none(),
        "uses": pass.scope.uses.most(), "lasts_seconds": pass.lasts,
        "exact": pass.scope.exact, "passage": pass.scope.passage,
    })
}

pub(super) fn rider_json(rider: &Rider) -> Value {
    match rider {
        Rider::Bulletin(bulletin) => json!({
            "kind": "bulletin", "sequence": bulletin.sequence,
            "audience": bulletin.audience.as_str(), "issued_at": rfc3339(bulletin.issued_at),
            "revoked": bulletin.revoked.prefixes().iter().map(|id| hex(id)).collect::<Vec<_>>(),
        }),
        Rider::Token(token) => json!({ "kind": "time_token", "time": rfc3339(token.issued_at) }),
        Rider::Rotation(rotation) => json!({
            "kind": "rotation", "sequence": rotation.sequence, "key": key_text(&rotation.key),
            "from": rfc3339(rotation.window.from()), "until": end_json(&rotation.window),
            "issued_at": rfc3339(rotation.issued_at),
        }),
    }
}

/// What a lock knows of its issuer and of passes.
pub(super) fn state_lines<const N: usize>(
    reader: &Reader,
    state: &State<N>,
    belief: &Belief,
) -> Vec<(&'static str, String)> {
    let now = belief.probable();
    let groups = reader.groups().iter().map(|group| format!(", in {}", group.as_str()));
    let mut lines =
        vec![("passes", format!("for {}{}", reader.name().as_str(), groups.collect::<String>()))];
    for TrustedKey { key, window, sequence, .. } in state.keys().iter() {
        let by = match sequence {
            0 => "as installed".to_owned(),
            sequence => format!("by rotation {sequence}"),
        };
        let text = format!("{}, {}, {by}", key_text(key), window_text(window, now));
        lines.push(("key", text));
    }
    let number = |number| if number == 0 { "none".to_owned() } else { format!("{number}") };
    let (rotation, bulletin) = (number(state.rotation()), number(state.bulletin()));
    let revoked = passes(state.revoked().prefixes().len());
    lines.push(("riders", format!("rotation {rotation}; bulletin {bulletin}, with {revoked}")));
    let (marks, attempts) = (state.marks(), state.attempts());
    let used = marks.iter().count();
    lines.push(("marks", format!("{used} of {N} of passes; room for {}", marks.room())));
    let left = attempts.filled(belief.floor()).left();
    lines.push(("attempts", format!("{left} of {} at passes", attempts.pace().burst)));
    lines
}

/// The same for machines.
pub(super) fn state_json<const N: usize>(
    reader: &Reader,
    state: &State<N>,
    belief: &Belief,
) -> Value {
    let keys = state.keys().iter().map(|TrustedKey { key, window, sequence, .. }| {
        json!({
            "name": key_text(key), "from": rfc3339(window.from()), "until": end_json(window),
            "rotation": sequence,
        })
    });
    let marks = state.marks().iter().map(|mark| {
        json!({
            "id": id_text(&mark.id), "uses": mark.uses, "first": rfc3339(mark.first),
            "last": rfc3339(mark.last), "until": rfc3339(mark.until),
        })
    });
    let revoked = state.revoked().prefixes().iter().map(|id| hex(id));
    let attempts = state.attempts();
    json!({
        "name": reader.name().as_str(),
        "groups": reader.groups().iter().map(|group| group.as_str()).collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(), "rotation": state.rotation(),
        "bulletin": { "sequence": state.bulletin(), "revoked": revoked.collect::<Vec<_>>() },
        "marks": {
            "used": state.marks().iter().count(), "of": N, "room": state.marks().room(),
            "passes": marks.collect::<Vec<_>>(),
        },
        "attempts": {
            "left": attempts.filled(belief.floor()).left(), "of": attempts.pace().burst,
        },
    })
}
