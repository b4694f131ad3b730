//! `pam_doorstep.so`: asks for a one-time code where sshd, sudo and others ask for a login
//! (`docs/gate.md`).
//!
//! It fails closed: whatever is missing, damaged or not understood refuses, with a line in the
//! system's log that says why and never what was typed.

mod clock;
mod ffi;
mod login;
mod options;
