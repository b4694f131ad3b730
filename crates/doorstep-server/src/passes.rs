//! Passes as they are issued: where each opens, under which id, and the documents that say so. A document is
//! signed anew whenever it is shown, with the time of that moment, and keeps its id.

use crate::context::Context;
use crate::http::auth::hash;
use crate::http::problem::{Code, Problem};
use crate::store::StoreError;
use crate::store::lock_groups::{self, Group};
use crate::store::locks::{self, Lock, Takes};
use crate::store::pass_keys::Algorithm;
use crate::store::passes::{self, Kind, Pass, Under, Where};
use crate::{lock_keys, lock_state, pass_keys, signed_time, wallet};
use doorstep::clock::MAX_UNCERTAINTY;
use doorstep::door::MARKS;
use doorstep::pass::claims::{self, Audience, HolderKey, PassId, Scope};
use doorstep::pass::document::{Content, Malformed};
use doorstep::pass::issue::{encrypted, maced};
use doorstep::pass::reader::GRACE;
use doorstep::time::{Timestamp, Window};
use rusqlite::Connection;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// The locks that a pass opens, and what they are called together.
pub(crate) struct Place {
    pub(crate) locks: Vec<Lock>,
    pub(crate) group: Option<Group>,
    audience: Audience,
}

impl Place {
    pub(crate) fn of(connection: &Connection, place: Where) -> Result<Self, StoreError> {
        Ok(match place {
            Where::Lock(lock) => Self::of_lock(locks::at(connection, lock)?),
            Where::Group(group) => Self::of_group(connection, lock_groups::at(connection, group)?)?,
        })
    }

    pub(crate) fn of_lock(lock: Lock) -> Self {
        Self { audience: lock.pass_name, locks: vec![lock], group: None }
    }

    pub(crate) fn of_group(connection: &Connection, group: Group) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt { column: "lock_groups.name" };
        let audience = Audience::of_group(&group.name).ok_or(corrupt)?;
        let members = lock_groups::members(connection, group.seq)?;
        let locks = members.into_iter().map(|lock| locks::at(connection, lock));
        Ok(Self { locks: locks.collect::<Result<_, _>>()?, audience, group: Some(group) })
    }

    /// As other tables name it.
    pub(crate) fn seq(&self) -> Where {
        match (&self.group, self.locks.first()) {
            (Some(group), _) => Where::Group(group.seq),
            (None, lock) => Where::Lock(lock.map_or(0, |lock| lock.seq)),
        }
    }

    /// The lock, of a pass that opens one.
    pub(crate) fn lock(&self) -> Option<&Lock> {
        if self.group.is_none() { self.locks.first() } else { None }
    }

    /// Refuses a pass that none of its locks would take.
    pub(crate) fn require_taken(&self, kind: Kind) -> Result<(), Problem> {
        let takes = |lock: &Lock| match lock.takes {
            Takes::Signed => true,
            Takes::Mac => kind != Kind::Signed,
            Takes::None => false,
        };
        let Some(lock) = self.locks.iter().find(|lock| !takes(lock)) else { return Ok(()) };
        let (id, kind, takes) = (&lock.id, kind.as_str(), lock.takes.as_str());
        Err(Problem::new(
            Code::NotTaken,
            format!("the lock {id} takes no passes of kind {kind}: it was made with passes {takes}"),
        )
        .hint("kinds that need no public key are mac and encrypted; what a lock takes is said when it is made"))
    }
}

/// The last rotation and bulletin that a lock is known to have, by its last journal or its bundle.
pub(crate) fn at_lock(lock: &Lock) -> Result<(u32, u32), StoreError> {
    Ok(match lock_state::last(lock)? {
        Some(state) => (state.passes.rotation(), state.passes.bulletin()),
        None => (lock.rotation, lock.bulletin),
    })
}

/// Whose a pass is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Whoever shows it.
    Bearer,
    /// Whoever has this key.
    Key(HolderKey),
    /// The first phone that collects it with its ticket.
    Collect,
}

/// How a pass opens, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) kind: Kind,
    pub(crate) holder: Holder,
    pub(crate) scope: Scope,
    pub(crate) lasts: Option<NonZeroU32>,
    pub(crate) algorithm: Option<Algorithm>,
}

impl Terms {
    /// Those of a pass that takes the place of another: of the phone that has it, or to be collected anew.
    pub(crate) const fn of(pass: &Pass) -> Self {
        let holder = match (pass.holder, pass.ticket) {
            (Some(key), _) => Holder::Key(key),
            (None, Some(_)) => Holder::Collect,
            (None, None) => Holder::Bearer,
        };
        let Pass { kind, scope, lasts, algorithm, .. } = *pass;
        Self { kind, holder, scope, lasts, algorithm }
    }

    /// Those of a pass like another for somebody else.
    pub(crate) fn for_another(pass: &Pass) -> Self {
        let same = Self::of(pass);
        let holder = match same.holder {
            Holder::Bearer => Holder::Bearer,
            Holder::Key(_) | Holder::Collect => Holder::Collect,
        };
        Self { holder, ..same }
    }
}

/// A pass that was just issued: with its document, or with the ticket with which a phone collects it.
pub(crate) struct Issued {
    pub(crate) pass: Pass,
    pub(crate) document: Option<Zeroizing<Vec<u8>>>,
    pub(crate) ticket: Option<Zeroizing<String>>,
}

/// Issues a pass, inside a job that nothing comes between.
pub(crate) fn issue(
    connection: &Connection,
    context: &Context,
    place: &Place,
    window: Window,
    (booking, reference): (Option<i64>, Option<String>),
    terms: &Terms,
    now: Timestamp,
) -> Result<Issued, Problem> {
    place.require_taken(terms.kind)?;
    let ticket = (terms.holder == Holder::Collect).then(|| wallet::make_ticket(context));
    let holder = match terms.holder {
        Holder::Key(key) => Some(key),
        Holder::Bearer | Holder::Collect => None,
    };
    let mut pass = Pass {
        seq: 0,
        id: make_id(connection, context)?,
        kind: terms.kind,
        place: place.seq(),
        booking,
        reference,
        window,
        holder,
        ticket: ticket.as_ref().map(|ticket| hash(ticket)),
        collected_at: None,
        scope: terms.scope,
        lasts: terms.lasts,
        algorithm: terms.algorithm,
        created_at: now,
        under: None,
        revoked_at: None,
        successor: None,
    };
    if let Some(lock) = place.lock().filter(|_| pass.is_counted()) {
        require_room(connection, lock, &window)?;
    }
    pass.seq = passes::insert(connection, &pass)?;
    let document = match ticket {
        Some(_) => None,
        None => Some(document(connection, context, &pass, place, now)?),
    };
    Ok(Issued { pass: passes::at(connection, pass.seq)?, document, ticket })
}

/// Draws an id that bulletins can tell from that of every pass before.
fn make_id(connection: &Connection, context: &Context) -> Result<PassId, StoreError> {
    loop {
        let mut bytes = [0; 8];
        context.with_rng(|rng| rng.fill_bytes(&mut bytes));
        if let Some(id) = PassId::from_bytes(&bytes)
            && !passes::has_prefix(connection, id.prefix())?
        {
            return Ok(id);
        }
    }
}

/// Refuses a counted pass when its lock, if everybody came, could not remember all that did.
fn require_room(connection: &Connection, lock: &Lock, window: &Window) -> Result<(), Problem> {
    // From when on it may be opened, and until when the lock may remember that.
    let margin = GRACE.saturating_add(MAX_UNCERTAINTY.saturating_mul(2));
    let (from, until) = (window.from().earlier(margin), window.until().later(margin));
    let wide = Window::new(from.earlier(margin), until.later(margin)).unwrap_or(*window);
    let mut others = 0_usize;
    for pass in passes::counted(connection, lock.seq, &wide)? {
        let here = (lock.seq, lock.generation);
        let may_be = pass.revoked_at.is_none()
            || pass.under.is_some()
            || passes::used(connection, &pass.id, here)?.times > 0;
        others = others.saturating_add(usize::from(may_be));
    }
    if others < MARKS {
        return Ok(());
    }
    Err(Problem::new(
        Code::LockFull,
        format!(
            "a lock remembers the uses of {MARKS} passes, and more would be given for this time"
        ),
    )
    .hint("take another window, or a pass that opens many times in its whole window"))
}

/// Makes the document of a pass.
///
/// # Errors
/// A pass that is revoked, over, or waits to be collected; [`Code::ClockDisagrees`]; [`Code::NoSuchKey`].
pub(crate) fn document(
    connection: &Connection,
    context: &Context,
    pass: &Pass,
    place: &Place,
    now: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    require_shown(pass, now)?;
    signed_time::tell(connection, now)?;
    let content = Content::Pass(claims::Pass {
        audience: Some(place.audience),
        window: pass.window,
        issued_at: Some(now),
        id: pass.id,
        holder: pass.holder,
        scope: pass.scope,
        lasts: pass.lasts,
    });
    let unwritten = |error: Malformed| Problem::internal(&error);
    let (document, under) = match (pass.kind, place.lock()) {
        (Kind::Signed, _) => {
            let until = pass.window.until().later(GRACE);
            let algorithm = pass.algorithm.unwrap_or(Algorithm::Ed25519);
            let chosen =
                pass_keys::choose(connection, &place.locks, Some(algorithm), (now, until))?;
            let key = pass_keys::open(&context.keys, &chosen.key)?;
            (key.sign(&content).map_err(unwritten)?, Under::Key(chosen.key.seq))
        }
        (Kind::Mac | Kind::Encrypted, Some(lock)) => {
            let (generation, epoch) = (lock.generation, lock.epoch);
            let root = lock_keys::root(&context.keys, lock, generation)?;
            let document = if pass.kind == Kind::Mac {
                maced(&content, epoch, &root.passes(epoch))
            } else {
                let mut iv = [0; 12];
                context.with_rng(|rng| rng.fill_bytes(&mut iv));
                encrypted(&content, epoch, &root.encryption(epoch), iv)
            };
            (document.map_err(unwritten)?, Under::Lock { generation, epoch })
        }
        (Kind::Mac | Kind::Encrypted, None) => {
            return Err(StoreError::Corrupt { column: "passes.kind" }.into());
        }
    };
    passes::made(connection, pass.seq, under)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

/// Refuses to show a pass that should not open, or that is not yet anybody's.
fn require_shown(pass: &Pass, now: Timestamp) -> Result<(), Problem> {
    let make_another = "make a new one: POST /v1/passes";
    if pass.revoked_at.is_some() {
        return Err(Problem::new(Code::PassRevoked, "this pass was revoked").hint(make_another));
    }
    if pass.window.until() <= now {
        return Err(Problem::new(Code::PassOver, "this pass is over").hint(make_another));
    }
    if pass.is_waiting() {
        return Err(Problem::new(Code::PassWaiting, "no phone collected this pass yet")
            .hint("its ticket was shown when it was made; a lost one is replaced by a new pass"));
    }
    Ok(())
}
