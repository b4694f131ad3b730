//! What kinds of windows a lock takes, and how a booking is rounded outward to one of them.

use super::odds;
use super::tuple::{Class, Grace, PinDigits, Tuple};
use crate::bytes::{Layout, Stored};
#[cfg(all(feature = "otp", feature = "pass"))]
use crate::bytes::{Reader, Writer};
use crate::time::Window;

/// The most classes of a profile.
pub const MAX_CLASSES: usize = 32;

/// The most lanes: holders times generations.
pub const MAX_LANES: u8 = 16;

/// The grids that a general profile's windows begin on, in minutes.
const GRID: [u16; 8] = [15, 30, 60, 120, 180, 360, 720, 1440];

/// The durations of courts and rooms by the hour, in minutes.
const COURTS: [u32; 6] = [30, 60, 90, 120, 180, 240];

/// The durations of a general profile, in minutes: from half an hour to 28 days.
const GENERAL: [u32; 16] =
    [30, 60, 90, 120, 180, 240, 360, 480, 720, 1440, 2880, 4320, 7200, 10_080, 20_160, 40_320];

const DAY: u32 = 1440;

/// What a lock is set up for. Holders and generations are settled for a lock's generation, since
/// lanes are counted by them; classes may be added later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    classes: [Class; MAX_CLASSES],
    count: usize,
    holders: u8,
    generations: u8,
    exclusive: bool,
    digits: PinDigits,
}

/// How often PINs open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uses {
    /// As often as their holder comes, within their window.
    Many,
    /// Once.
    Once,
    /// As the booking says: each window exists both ways.
    Both,
}

/// Why there is no such profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileError {
    /// No class, or more than [`MAX_CLASSES`].
    Classes(usize),
    /// A class without duration or grid, or with a phase beyond its grid.
    Class(Class),
    /// Check-out is after check-in, or more than 12 hours before it.
    CheckOut,
    /// Holders times generations is 0 or more than [`MAX_LANES`].
    Lanes,
    /// So many tuples are acceptable at once that not even ten digits keep a robot out.
    Guessable,
}

impl core::fmt::Display for ProfileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Classes(count) => {
                write!(f, "a profile has 1 to {MAX_CLASSES} classes, this one {count}")
            }
            Self::Class(class) => write!(
                f,
                "a class of {} minutes from each multiple of {} plus {} does not exist",
                class.duration, class.quantum, class.phase
            ),
            Self::CheckOut => {
                f.write_str("check-out is at most 12 hours before check-in, and not after it")
            }
            Self::Lanes => write!(f, "holders times generations is 1 to {MAX_LANES}"),
            Self::Guessable => {
                f.write_str("too many windows at once; use fewer classes or coarser grids")
            }
        }
    }
}

impl core::error::Error for ProfileError {}

/// A booking as a lock can take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The kind of window.
    pub class: Class,
    /// Which beginning.
    pub index: u32,
    /// The true window, which holds the one that was asked for.
    pub window: Window,
}

impl Profile {
    /// A profile of these classes with two holders and two generations. Its PINs have as many digits
    /// as keep a robot that never stops below 1 % a year.
    ///
    /// # Errors
    /// [`ProfileError`] when that is none.
    pub fn new(classes: &[Class], exclusive: bool) -> Result<Self, ProfileError> {
        Self::with_lanes(classes, exclusive, 2, 2)
    }

    /// A profile for so many holders at once, whose PINs can be made anew so often less one.
    ///
    /// # Errors
    /// [`ProfileError`] when that is none.
    pub fn with_lanes(
        classes: &[Class],
        exclusive: bool,
        holders: u8,
        generations: u8,
    ) -> Result<Self, ProfileError> {
        let [digits, ..] = PinDigits::ALL;
        let profile = Self::checked(classes, exclusive, (holders, generations), digits)?;
        let digits = odds::default_digits(&profile).ok_or(ProfileError::Guessable)?;
        Ok(Self { digits, ..profile })
    }

    /// A profile whose odds somebody else looked at: a lock takes the digits that it is told.
    fn checked(
        classes: &[Class],
        exclusive: bool,
        (holders, generations): (u8, u8),
        digits: PinDigits,
    ) -> Result<Self, ProfileError> {
        let count = classes.len();
        let mut kept = [Class::BLANK; MAX_CLASSES];
        let places = kept.get_mut(..count).ok_or(ProfileError::Classes(count))?;
        places.copy_from_slice(classes);
        let profile = Self { classes: kept, count, holders, generations, exclusive, digits };
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), ProfileError> {
        let unfit = |class: &&Class| class.duration == 0 || class.phase >= class.quantum;
        if self.classes().is_empty() {
            return Err(ProfileError::Classes(0));
        }
        if let Some(class) = self.classes().iter().find(unfit) {
            return Err(ProfileError::Class(*class));
        }
        let lanes = self.holders.saturating_mul(self.generations);
        if (1..=MAX_LANES).contains(&lanes) { Ok(()) } else { Err(ProfileError::Lanes) }
    }

    /// The same for so many holders at once, whose PINs can be made anew so often less one. The digits
    /// are computed anew.
    ///
    /// # Errors
    /// [`ProfileError`] when there are too many lanes, or not even ten digits keep a robot out.
    pub fn with_holders(self, holders: u8, generations: u8) -> Result<Self, ProfileError> {
        Self::with_lanes(self.classes(), self.exclusive, holders, generations)
    }

    /// The same with PINs that open as often. Single use is a class of its own, so `Both` has each class
    /// twice. The digits are computed anew.
    ///
    /// # Errors
    /// [`ProfileError`] when that makes too many classes, or not even ten digits keep a robot out.
    pub fn with_uses(self, uses: Uses) -> Result<Self, ProfileError> {
        let of = |one_time| move |class: &Class| Class { one_time, ..*class };
        let (many, once) =
            (self.classes().iter().map(of(false)), self.classes().iter().map(of(true)));
        let mut classes = [Class::BLANK; 2 * MAX_CLASSES];
        let wanted = many.filter(|_| uses != Uses::Once).chain(once.filter(|_| uses != Uses::Many));
        let mut count: usize = 0;
        for class in wanted {
            if classes.iter().take(count).any(|known| *known == class) {
                continue;
            }
            if let Some(place) = classes.get_mut(count) {
                *place = class;
                count = count.saturating_add(1);
            }
        }
        let classes = classes.get(..count).ok_or(ProfileError::Classes(count))?;
        Self::with_lanes(classes, self.exclusive, self.holders, self.generations)
    }

    /// The same with another number of digits, for who weighs the odds ([`odds::Odds`]) otherwise.
    #[must_use]
    pub const fn with_digits(self, digits: PinDigits) -> Self {
        Self { digits, ..self }
    }

    /// Courts and rooms by the hour: 30 minutes to 4 hours, beginning each quarter of an hour, one
    /// party at a time.
    ///
    /// # Errors
    /// None; [`ProfileError`] is that of [`Profile::new`].
    pub fn courts() -> Result<Self, ProfileError> {
        let class = Class { duration: 30, quantum: 15, phase: 0, one_time: false };
        Self::new(&COURTS.map(|duration| Class { duration, ..class }), true)
    }

    /// From half an hour to 28 days, beginning on a grid of about an eighth of the duration.
    ///
    /// # Errors
    /// As [`Profile::courts`].
    pub fn general() -> Result<Self, ProfileError> {
        let class = |duration: u32| {
            let fits = |quantum: &&u16| u32::from(**quantum) <= duration / 8;
            let quantum = GRID.iter().rfind(fits).copied().unwrap_or(15);
            Class { duration, quantum, phase: 0, one_time: false }
        };
        Self::new(&GENERAL.map(class), false)
    }

    /// Nights, from the check-in hour of the first day to the check-out hour of the last, both in
    /// minutes of the UTC day; one party at a time. Check-out is at most 12 hours before the next
    /// check-in, over midnight of UTC or not, so that rounding never gives the last guest the next
    /// guest's room. Where clocks change, take the earliest check-in and the latest check-out of the
    /// year.
    ///
    /// # Errors
    /// [`ProfileError`] when the hours are no hours, check-out is not before check-in, or there are no
    /// nights or too many.
    pub fn stays(check_in: u16, check_out: u16, nights: u8) -> Result<Self, ProfileError> {
        let day = u16::try_from(DAY).unwrap_or(u16::MAX);
        let gap = i32::from(check_in).saturating_sub(i32::from(check_out));
        let gap = gap.checked_rem_euclid(i32::from(day)).unwrap_or(0);
        let class = |nights: u32| {
            let whole = nights.saturating_mul(DAY);
            let duration = whole.saturating_sub_signed(gap);
            Class { duration, quantum: day, phase: check_in, one_time: false }
        };
        let mut classes = [class(1); MAX_CLASSES];
        for (place, nights) in classes.iter_mut().zip(1..) {
            *place = class(nights);
        }
        let count = usize::from(nights);
        let classes = classes.get(..count).ok_or(ProfileError::Classes(count))?;
        if check_out >= day || gap > i32::from(day / 2) {
            return Err(ProfileError::CheckOut);
        }
        Self::new(classes, true)
    }

    /// Bytes of a stored profile, and the most of one in a bundle.
    pub const LENGTH: usize = 5 + MAX_CLASSES * Class::LENGTH;

    /// The profile as an issuer stores it, filled with zeros.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        // As long as one with all classes.
        let _ = self.store(&mut bytes);
        bytes
    }

    /// Reads a profile that was stored; `None` for anything else. Nothing is computed: a lock takes the digits
    /// it is told.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let [digits, ..] = PinDigits::ALL;
        let classes = [Class::BLANK; MAX_CLASSES];
        let mut profile =
            Self { classes, count: 0, holders: 0, generations: 0, exclusive: false, digits };
        profile.load(bytes)?;
        profile.check().ok()?;
        Some(profile)
    }

    /// Bytes of a profile of so many classes, without zeros.
    #[cfg(all(feature = "otp", feature = "pass"))]
    const fn length_of(count: usize) -> usize {
        Class::LENGTH.saturating_mul(count).saturating_add(5)
    }

    /// Writes the profile without zeros.
    #[cfg(all(feature = "otp", feature = "pass"))]
    pub(crate) fn put<const N: usize>(&self, out: &mut Writer<N>) {
        out.put(self.to_bytes().get(..Self::length_of(self.count)).unwrap_or_default());
    }

    /// Reads what [`Profile::put`] wrote; `None` for anything else.
    #[cfg(all(feature = "otp", feature = "pass"))]
    pub(crate) fn take(from: &mut Reader<'_>) -> Option<Self> {
        let count = usize::from(*from.rest().first()?);
        Self::parse(from.slice(Self::length_of(count))?)
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        self.classes.get(..self.count).unwrap_or_default()
    }

    /// How many holders a window can have.
    #[must_use]
    pub const fn holders(&self) -> u8 {
        self.holders
    }

    /// How many PINs a holder can have, one after the other.
    #[must_use]
    pub const fn generations(&self) -> u8 {
        self.generations
    }

    /// Whether one party at a time has the place: the first use of a PIN then ends all that began
    /// earlier and overlap.
    #[must_use]
    pub const fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Digits of a PIN.
    #[must_use]
    pub const fn digits(&self) -> PinDigits {
        self.digits
    }

    /// How much earlier and later than its window a PIN is taken.
    #[must_use]
    pub const fn grace(&self) -> Grace {
        Grace::PIN
    }

    /// Holders times generations.
    #[must_use]
    pub const fn lanes(&self) -> u8 {
        self.holders.saturating_mul(self.generations)
    }

    /// The lane of a tuple.
    pub(crate) const fn lane(&self, tuple: &Tuple) -> u8 {
        tuple.holder.saturating_mul(self.generations).saturating_add(tuple.generation)
    }

    /// The holder and the generation of a lane.
    pub(crate) fn of_lane(&self, lane: u8) -> (u8, u8) {
        (
            lane.checked_div(self.generations).unwrap_or(0),
            lane.checked_rem(self.generations).unwrap_or(0),
        )
    }

    /// The longest window, in seconds.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.classes().iter().map(Class::seconds).fold(0, Ord::max)
    }

    /// The longest time that a window holds whenever it begins, in seconds; a longer one has to begin on the grid.
    #[must_use]
    pub fn longest_off_grid(&self) -> u64 {
        let holds = |class: &Class| {
            class.seconds().saturating_sub(u64::from(class.quantum).saturating_mul(60))
        };
        self.classes().iter().map(holds).max().unwrap_or(0)
    }

    /// Rounds a booking outward to the shortest window that holds it; `None` when none is long
    /// enough, or used as often.
    #[must_use]
    pub fn fit(&self, wanted: &Window, one_time: bool) -> Option<Fit> {
        let fits = self.classes().iter().filter(|class| class.one_time == one_time);
        let fits = fits.filter_map(|class| {
            let index = class.index_at(wanted.from())?;
            let tuple = Tuple { class: *class, index, holder: 0, generation: 0 };
            let window = Window::new(tuple.from(), tuple.until())?;
            (window.until() >= wanted.until()).then_some(Fit { class: *class, index, window })
        });
        // Of equally long ones, the one that begins last.
        fits.min_by_key(|fit| {
            (fit.window.length(), u64::MAX.saturating_sub(fit.window.from().seconds()))
        })
    }
}

impl Stored for Profile {
    /// `u8 classes || u8 holders || u8 generations || u8 exclusive || u8 digits ||` the classes.
    fn fields(&mut self, layout: &mut Layout<'_>) {
        let mut count = u8::try_from(self.count).unwrap_or(u8::MAX);
        layout.byte(&mut count);
        self.count = usize::from(count);
        layout.byte(&mut self.holders);
        layout.byte(&mut self.generations);
        layout.flag(&mut self.exclusive);
        let mut digits = self.digits.get();
        layout.byte(&mut digits);
        self.digits = PinDigits::new(digits).unwrap_or(self.digits);
        for class in self.classes.get_mut(..self.count).unwrap_or_default() {
            class.fields(layout);
        }
    }
}
