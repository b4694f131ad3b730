//! An authenticator: the codes of its owner's accounts, in one file under a passphrase. It has no
//! network, and nothing here may get one.

pub(crate) mod aegis;
pub(crate) mod authenticator;
pub(crate) mod find;
pub(crate) mod incoming;
pub(crate) mod screen;
pub(crate) mod vault;
