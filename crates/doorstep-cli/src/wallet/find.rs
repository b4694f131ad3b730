//! Which pass a person means.

use super::pass::HeldPass;
use crate::error::{CliError, Detail};

/// The place of the one pass that `name` means: its number in the list, its id or how that begins, or the name of
/// its door or a part of that, in either case.
pub(crate) fn find(passes: &[HeldPass], name: &str) -> Result<usize, CliError> {
    if let Ok(number) = name.parse::<usize>() {
        let place = number.checked_sub(1).filter(|place| *place < passes.len());
        if let Some(place) = place {
            return Ok(place);
        }
    }
    let wanted = name.trim().to_lowercase();
    let id = |pass: &HeldPass| pass.id_text().starts_with(&wanted);
    let whole = |pass: &HeldPass| pass.name().to_lowercase() == wanted;
    let part = |pass: &HeldPass| pass.name().to_lowercase().contains(&wanted);
    let tests: [&dyn Fn(&HeldPass) -> bool; 3] = [&id, &whole, &part];
    let places = |means: &dyn Fn(&HeldPass) -> bool| -> Vec<usize> {
        let all = passes.iter().enumerate();
        all.filter(|(_, pass)| means(pass)).map(|(place, _)| place).collect()
    };
    let found = tests.into_iter().map(places).find(|found| !found.is_empty());
    let found = found.filter(|_| !wanted.is_empty()).unwrap_or_default();
    match found.as_slice() {
        [place] => Ok(*place),
        [] => Err(CliError::new("the wallet has no such pass")
            .hint("doorstep wallet list shows them; give a number, an id, or the name of the door")
            .code("unknown_pass")),
        several => {
            let named = several.iter().filter_map(|place| {
                let pass = passes.get(*place)?;
                Some(format!("{}  {}  {}", place + 1, pass.id_text(), pass.name()).into())
            });
            Err(CliError::new(format!("\"{name}\" may mean {} passes", several.len()))
                .details(named.collect::<Vec<Detail>>())
                .hint("give its number, or more of its id")
                .code("ambiguous_pass"))
        }
    }
}
