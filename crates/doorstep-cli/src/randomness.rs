//! The only place where a program draws randomness: the system's source, or a seeded one for tests.

use getrandom::SysRng;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng, UnwrapErr};

/// A source of randomness that can be handed to other threads.
pub(crate) type Source = Box<dyn CryptoRng + Send>;

/// The system's randomness, or the stream of `seed`. Seeds are for test data only.
///
/// A system without randomness aborts the program: there is nothing safe to go on with.
pub(crate) fn source(seed: Option<u64>) -> Source {
    match seed {
        None => Box::new(UnwrapErr(SysRng)),
        Some(seed) => Box::new(ChaCha20Rng::seed_from_u64(seed)),
    }
}
