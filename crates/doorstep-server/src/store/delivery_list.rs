//! Finds deliveries: by what they are, and by the words in them.
//!
//! One index leads through the deliveries and every other condition is looked at row by row, so a page
//! costs no more than [`BOUNDS`] whatever is asked; it may be short, and says where to go on.

use super::StoreError;
use super::deliveries::{self, Delivery, State};
use super::value::{At, parsed};
use super::word_walk::{Place, Walk};
use super::words::Question;
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// What a page costs at most.
struct Bounds {
    /// Rows that are looked at.
    rows: usize,
    /// Places in the index of words.
    places: usize,
}

const BOUNDS: Bounds = Bounds { rows: 2000, places: 20_000 };

/// Which deliveries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) state: Option<State>,
    /// Planned for this device.
    pub(crate) device: Option<String>,
    /// Planned for a device of this driver.
    pub(crate) driver: Option<String>,
    pub(crate) expected_from: Option<Timestamp>,
    /// The first second that is too late.
    pub(crate) expected_until: Option<Timestamp>,
    /// With this id, or with this reference if none has the id.
    pub(crate) named: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) reference_prefix: Option<String>,
    /// Words, as the index of words is asked for them.
    pub(crate) words: Option<Question>,
}

/// Where a page ended, in the order that its filter makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// In order of creation.
    Created(i64),
    /// In order of expected times.
    Expected(i64, i64),
    /// In order of references.
    Reference(String),
}

/// In which order a filter lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Created,
    Expected,
    Reference,
}

impl Filter {
    /// Times make a list of a day, in its order; the beginning of a reference makes one of references.
    pub(crate) const fn order(&self) -> Order {
        if self.words.is_some() {
            Order::Created
        } else if self.expected_from.is_some() || self.expected_until.is_some() {
            Order::Expected
        } else if self.reference_prefix.is_some() {
            Order::Reference
        } else {
            Order::Created
        }
    }
}

/// What the conditions are about.
struct Candidate {
    seq: i64,
    id: String,
    state: String,
    device: Option<String>,
    expected_at: Option<i64>,
    reference: String,
}

const COLUMNS: &str = "d.seq, d.id, d.state, d.device, d.expected_at, d.reference";

impl Candidate {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            seq: row.get(0)?,
            id: row.get(1)?,
            state: row.get(2)?,
            device: row.get(3)?,
            expected_at: row.get(4)?,
            reference: row.get(5)?,
        })
    }

    fn place(&self, order: Order) -> After {
        match order {
            Order::Created => After::Created(self.seq),
            Order::Expected => After::Expected(self.expected_at.unwrap_or_default(), self.seq),
            Order::Reference => After::Reference(self.reference.clone()),
        }
    }

    fn fits(&self, filter: &Filter, devices: Option<&[String]>) -> bool {
        let at = |time: Timestamp| i64::try_from(time.seconds()).unwrap_or(i64::MAX);
        let own = |device: &String| devices.is_none_or(|devices| devices.contains(device));
        filter.state.is_none_or(|state| self.state == state.as_str())
            && self.device.as_ref().map_or_else(|| devices.is_none(), own)
            && filter.expected_from.is_none_or(|from| self.expected_at >= Some(at(from)))
            && filter
                .expected_until
                .is_none_or(|until| self.expected_at.is_some_and(|expected| expected < at(until)))
            && filter.reference.as_ref().is_none_or(|reference| self.reference == *reference)
            && filter
                .reference_prefix
                .as_ref()
                .is_none_or(|prefix| self.reference.starts_with(prefix.as_str()))
    }
}

/// A page of deliveries, and where it ended if there may be more.
pub(crate) fn page(
    connection: &Connection,
    filter: &Filter,
    after: Option<&After>,
    limit: usize,
) -> Result<(Vec<Delivery>, Option<After>), StoreError> {
    page_within(connection, filter, after, limit, &BOUNDS)
}

fn page_within(
    connection: &Connection,
    filter: &Filter,
    after: Option<&After>,
    limit: usize,
    bounds: &Bounds,
) -> Result<(Vec<Delivery>, Option<After>), StoreError> {
    let order = filter.order();
    let devices = devices(connection, filter)?;
    // Nothing is planned for a driver without devices: there are no pages to look through.
    if devices.as_ref().is_some_and(Vec::is_empty) {
        return Ok((Vec::new(), None));
    }
    let named = match &filter.named {
        Some(name) => match deliveries::named(connection, name)? {
            Some(delivery) => Some(delivery.seq),
            None => return Ok((Vec::new(), None)),
        },
        None => None,
    };
    let (mut found, mut looked, mut last) = (Vec::new(), 0_usize, None);
    let mut next = None;
    let search = Search { filter, named, devices: devices.as_deref(), after };
    let stopped = candidates(connection, &search, bounds, |candidate| {
        looked = looked.saturating_add(1);
        // In order of references, those with one beginning stand together.
        let passed = order == Order::Reference && !candidate.fits_prefix(filter);
        if passed || named.is_some_and(|named| named != candidate.seq) {
            return false;
        }
        if candidate.fits(filter, devices.as_deref()) {
            if found.len() == limit {
                next = last.take();
                return false;
            }
            found.push(candidate.id.clone());
        }
        last = Some(candidate.place(order));
        if looked == bounds.rows {
            next = last.take();
        }
        looked < bounds.rows
    })?;
    let next = next.or(stopped);
    let mut page = Vec::with_capacity(found.len());
    for id in found {
        let id = parsed("deliveries.id", &id, DeliveryId::parse)?;
        page.extend(deliveries::find(connection, &id)?);
    }
    Ok((page, next))
}

impl Candidate {
    fn fits_prefix(&self, filter: &Filter) -> bool {
        let prefix = filter.reference_prefix.as_deref().unwrap_or_default();
        self.reference.starts_with(prefix)
    }
}

fn devices(connection: &Connection, filter: &Filter) -> Result<Option<Vec<String>>, StoreError> {
    let Some(driver) = &filter.driver else {
        return Ok(filter.device.clone().map(|device| vec![device]));
    };
    let mut statement = connection.prepare_cached("SELECT id FROM devices WHERE driver = ?1")?;
    let devices = statement.query_map([driver], |row| row.get(0))?;
    let mut devices = devices.collect::<Result<Vec<String>, _>>()?;
    if let Some(device) = &filter.device {
        devices.retain(|own| own == device);
    }
    Ok(Some(devices))
}

/// What is looked for, and from where on.
struct Search<'a> {
    filter: &'a Filter,
    /// The delivery that the filter names.
    named: Option<i64>,
    /// The devices that it is about.
    devices: Option<&'a [String]>,
    after: Option<&'a After>,
}

/// Goes through the deliveries along one index, from `after` on, for as long as `look` says. What comes
/// back is where it stopped by itself, if there may be more.
fn candidates(
    connection: &Connection,
    search: &Search<'_>,
    bounds: &Bounds,
    mut look: impl FnMut(&Candidate) -> bool,
) -> Result<Option<After>, StoreError> {
    let Search { filter, named, devices, after } = *search;
    let seq = if let Some(After::Created(seq)) = after { *seq } else { 0 };
    if let Some(words) = &filter.words {
        let seq = named.map_or(seq, |named| seq.max(named.saturating_sub(1)));
        return through_words(connection, words, seq, bounds, look);
    }
    let mut through = |rest: &str, values: &[&dyn ToSql]| -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(&select(rest))?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            if !look(&Candidate::read(row)?) {
                break;
            }
        }
        Ok(())
    };
    if let Some(named) = &named {
        through("WHERE seq = ?1 AND seq > ?2", &[named, &seq])?;
        return Ok(None);
    }
    if let Some(reference) = &filter.reference {
        through("WHERE reference = ?1 AND seq > ?2", &[reference, &seq])?;
        return Ok(None);
    }
    match filter.order() {
        Order::Expected => {
            let from = filter.expected_from.map_or(0, Timestamp::seconds);
            let from = i64::try_from(from).unwrap_or(i64::MAX);
            let (at, seq) = match after {
                Some(After::Expected(at, seq)) => (*at, *seq),
                _ => (from, -1),
            };
            let until = filter.expected_until.map(At);
            through(
                "INDEXED BY deliveries_by_expected
                 WHERE (d.expected_at, d.seq) > (?1, ?2) AND (?3 IS NULL OR d.expected_at < ?3)
                 ORDER BY d.expected_at, d.seq",
                &[&at, &seq, &until],
            )?;
        }
        Order::Reference => {
            let prefix = filter.reference_prefix.as_deref().unwrap_or_default();
            match after {
                Some(After::Reference(after)) => {
                    through("WHERE d.reference > ?1 ORDER BY d.reference", &[after])?;
                }
                _ => through("WHERE d.reference >= ?1 ORDER BY d.reference", &[&prefix])?,
            }
        }
        Order::Created => match (devices, filter.state) {
            (Some(devices), _) => through_devices(connection, devices, seq, look)?,
            (None, Some(state)) => through(
                "INDEXED BY deliveries_by_state WHERE d.state = ?1 AND d.seq > ?2 ORDER BY d.seq",
                &[&state.as_str(), &seq],
            )?,
            (None, None) => through("WHERE d.seq > ?1 ORDER BY d.seq", &[&seq])?,
        },
    }
    Ok(None)
}

fn select(rest: &str) -> String {
    format!("SELECT {COLUMNS} FROM deliveries AS d {rest}")
}

/// Goes through what is planned for any of these devices. A row of each is held, and the earliest is
/// next: one statement over all of them would sort everything that they ever had.
fn through_devices(
    connection: &Connection,
    devices: &[String],
    seq: i64,
    mut look: impl FnMut(&Candidate) -> bool,
) -> Result<(), StoreError> {
    let sql =
        select("INDEXED BY deliveries_by_device WHERE d.device = ?1 AND d.seq > ?2 ORDER BY d.seq");
    let prepared = devices.iter().map(|_| connection.prepare_cached(&sql));
    let mut statements = prepared.collect::<Result<Vec<_>, _>>()?;
    let mut lists = Vec::with_capacity(devices.len());
    for (statement, device) in statements.iter_mut().zip(devices) {
        let mut rows = statement.query(params![device, seq])?;
        let first = rows.next()?.map(Candidate::read).transpose()?;
        lists.extend(first.map(|first| (first, rows)));
    }
    while let Some(place) =
        (0..lists.len()).min_by_key(|place| lists.get(*place).map(|(c, _)| c.seq))
        && let Some((candidate, rows)) = lists.get_mut(place)
    {
        if !look(candidate) {
            break;
        }
        match rows.next()? {
            Some(row) => *candidate = Candidate::read(row)?,
            None => drop(lists.remove(place)),
        }
    }
    Ok(())
}

/// Goes through what has these words.
fn through_words(
    connection: &Connection,
    words: &Question,
    seq: i64,
    bounds: &Bounds,
    mut look: impl FnMut(&Candidate) -> bool,
) -> Result<Option<After>, StoreError> {
    let mut statement = connection.prepare_cached(&select("WHERE d.seq = ?1"))?;
    let mut walk = Walk::new(connection, words, seq.saturating_add(1), bounds.places);
    loop {
        match walk.next()? {
            Place::Fits(seq) => {
                let candidate = statement.query_row([seq], Candidate::read).optional()?;
                if candidate.is_some_and(|candidate| !look(&candidate)) {
                    return Ok(None);
                }
            }
            Place::Unknown(seq) => return Ok(Some(After::Created(seq.saturating_sub(1)))),
            Place::End => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
