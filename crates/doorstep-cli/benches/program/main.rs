//! How fast the program is as it is used: the real server over HTTP with its database on a disk,
//! and the driver's command as a whole process. What needs no disk is measured in the core.

mod accounts;
mod claims;
mod device;
mod door;
mod figures;
mod lists;
mod morning;
mod outbox;
mod shop;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    accounts::run(&mut criterion);
    claims::run(&mut criterion);
    morning::run(&mut criterion);
    outbox::run(&mut criterion);
    lists::run(&mut criterion);
    door::run(&mut criterion);
    criterion.final_summary();
}
