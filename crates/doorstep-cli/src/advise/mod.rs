//! The adviser: from what somebody needs to the method, its lengths and its odds. It only computes, and every
//! number comes from the functions of the core that the product itself uses.
//!
//! Data flows one way: `answers` -> `needs` -> `judge` with each of `methods` -> [`Advice`] -> `render`.

pub(crate) mod answers;
pub(crate) mod ask;
mod commands;
mod judge;
mod method;
mod methods;
pub(crate) mod needs;
mod number;
pub(crate) mod render;
pub(crate) mod tables;
#[cfg(test)]
mod tests;

pub(crate) use judge::{Aspect, Clash, Grade, Property, Traits};
pub(crate) use method::Method;
use needs::{Concession, Needs};
use number::Number;

/// What comes of somebody's needs.
#[derive(Clone, Debug)]
pub(crate) struct Advice {
    pub(crate) needs: Needs,
    /// What fits, the best first: least is lost, then least is kept in part only.
    pub(crate) fits: Vec<Fit>,
    /// What does not, in the order of the table.
    pub(crate) unfit: Vec<Unfit>,
}

/// A method that meets the needs.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) method: Method,
    pub(crate) properties: Vec<Property>,
    pub(crate) details: Details,
}

impl Fit {
    /// What of it is of this grade.
    pub(crate) fn of(&self, grade: Grade) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(move |property| property.grade == grade)
    }
}

/// How to set a method up, and what it is worth then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    /// What to set it to, by name.
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) not_protected: Vec<String>,
    pub(crate) commands: Vec<String>,
}

/// A method that does not.
#[derive(Clone, Debug)]
pub(crate) struct Unfit {
    pub(crate) method: Method,
    /// Why; facts before wishes, at least one.
    pub(crate) why: Vec<Clash>,
}

/// Wishes to drop together, what is possible then, and what that is worth.
#[derive(Clone, Debug)]
pub(crate) struct WayOut {
    pub(crate) gives: Vec<(Concession, String)>,
    pub(crate) method: Method,
    /// What is still asked then.
    pub(crate) needs: Needs,
    pub(crate) details: Details,
}

/// Advises.
pub(crate) fn advise(needs: Needs) -> Advice {
    let (mut fits, mut unfit) = (Vec::new(), Vec::new());
    for method in Method::ALL {
        let traits = method.traits(&needs);
        let why = judge::clashes(&needs, &traits);
        if why.is_empty() {
            let details = method.details(&needs);
            fits.push(Fit { method, properties: traits.properties, details });
        } else {
            unfit.push(Unfit { method, why });
        }
    }
    let count = |fit: &Fit, grade| fit.of(grade).count();
    // Stable, so that the order of the table decides between equals.
    fits.sort_by_key(|fit| (count(fit, Grade::Lost), count(fit, Grade::Partly)));
    Advice { needs, fits, unfit }
}

impl Advice {
    /// What has to give when nothing fits: for each method that no fact rules out the wishes that do, fewest
    /// first, and none that drops all that another one drops and more.
    pub(crate) fn ways_out(&self) -> Vec<WayOut> {
        if !self.fits.is_empty() {
            return Vec::new();
        }
        let mut ways: Vec<WayOut> =
            self.unfit.iter().filter_map(|unfit| way_out(self.needs, unfit)).collect();
        ways.sort_by_key(|way| way.gives.len());
        let mut kept: Vec<WayOut> = Vec::new();
        for way in ways {
            let holds = |smaller: &WayOut| {
                let options: Vec<_> = way.gives.iter().map(|(gives, _)| gives.option().0).collect();
                smaller.gives.iter().all(|(gives, _)| options.contains(&gives.option().0))
            };
            if !kept.iter().any(holds) {
                kept.push(way);
            }
        }
        kept
    }
}

fn way_out(needs: Needs, unfit: &Unfit) -> Option<WayOut> {
    let gives = unfit.why.iter().map(|clash| match clash {
        Clash::Fact(_) => None,
        Clash::Wish(concession, why) => Some((*concession, why.clone())),
    });
    let mut gives: Vec<_> = gives.collect::<Option<_>>()?;
    let without = |gives: &[(Concession, String)]| {
        gives.iter().fold(needs, |needs, (gives, _)| gives.apply(needs))
    };
    // One wish may only be in the way because of another one, which gives already.
    for place in (0..gives.len()).rev() {
        let mut fewer = gives.clone();
        fewer.remove(place);
        let nearly = without(&fewer);
        if judge::clashes(&nearly, &unfit.method.traits(&nearly)).is_empty() {
            gives = fewer;
        }
    }
    let (method, needs) = (unfit.method, without(&gives));
    Some(WayOut { gives, method, needs, details: method.details(&needs) })
}
