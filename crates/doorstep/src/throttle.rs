//! How many wrong codes one credential survives: a budget that only ever shrinks.

use crate::refusal::Refusal;

/// Typed attempts that a delivery takes, over all its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    limit: u8,
    used: u8,
}

impl Budget {
    /// A budget of `limit` attempts of which `used` are counted.
    #[must_use]
    pub const fn new(limit: u8, used: u8) -> Self {
        Self { limit, used }
    }

    /// Attempts counted so far.
    #[must_use]
    pub const fn used(self) -> u8 {
        self.used
    }

    /// Attempts left.
    #[must_use]
    pub const fn left(self) -> u8 {
        self.limit.saturating_sub(self.used)
    }

    /// The budget after one more attempt.
    ///
    /// # Errors
    /// [`Refusal::Throttled`] without a time when none is left: a delivery code lives for hours,
    /// so its budget does not grow back.
    pub fn take(self) -> Result<Self, Refusal> {
        if self.left() == 0 {
            return Err(Refusal::Throttled { until: None });
        }
        Ok(Self { used: self.used.saturating_add(1), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_token_is_taken_once() {
        let budget = Budget::new(2, 1).take().unwrap();
        assert_eq!(budget.left(), 0);
        assert_eq!(budget.take(), Err(Refusal::Throttled { until: None }));
        assert_eq!(Budget::new(0, 0).take(), Err(Refusal::Throttled { until: None }));
        assert_eq!(Budget::new(5, 255).take(), Err(Refusal::Throttled { until: None }));
    }
}
