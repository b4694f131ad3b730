//! The border to libpam: the module's entry points, and the few calls it makes back. All `unsafe` of
//! the project is in this file.
//!
//! A binding of our own: of the crates for modules, one is under the GPL and the other needs PAM's
//! development package to build.

#![expect(unsafe_code, reason = "libpam is C: its pointers can be read in no other way")]

use crate::login::{Conversation, Outcome, login};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use zeroize::{Zeroize as _, Zeroizing};

// Values of Linux-PAM (security/_pam_types.h).
const PAM_SUCCESS: c_int = 0;
const PAM_AUTH_ERR: c_int = 7;
const PAM_AUTHINFO_UNAVAIL: c_int = 9;
const PAM_IGNORE: c_int = 25;
const PAM_ITEM_CONV: c_int = 5;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_TEXT_INFO: c_int = 4;
/// LOG_AUTHPRIV | LOG_NOTICE (sys/syslog.h).
const LOG_PRIORITY: c_int = (10 << 3) | 5;

/// What libpam knows of a login (`pam_handle_t`); only its address is ours.
#[repr(C)]
pub(crate) struct PamHandle {
    _private: [u8; 0],
}

#[repr(C)]
struct PamMessage {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct PamResponse {
    text: *mut c_char,
    _code: c_int,
}

#[repr(C)]
struct PamConversation {
    call: Option<
        unsafe extern "C" fn(
            c_int,
            *mut *const PamMessage,
            *mut *mut PamResponse,
            *mut c_void,
        ) -> c_int,
    >,
    data: *mut c_void,
}

/// The beginning of `struct passwd`, which is the same everywhere.
#[repr(C)]
struct User {
    name: *const c_char,
}

unsafe extern "C" {
    fn pam_modutil_getpwnam(handle: *mut PamHandle, user: *const c_char) -> *const User;
    fn pam_get_user(
        handle: *mut PamHandle,
        user: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;
    fn pam_get_item(handle: *const PamHandle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);
    fn free(pointer: *mut c_void);
}

/// Asks for a code and decides.
///
/// # Safety
/// libpam calls this, with a handle of its own and `count` texts that end with zero.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pam_sm_authenticate(
    handle: *mut PamHandle,
    _flags: c_int,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // A panic must not unwind into C, and lets nobody in.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as libpam promises, above.
        let (user, arguments) = unsafe { (user_of(handle), texts(count, arguments)) };
        match (user, arguments) {
            (Some(user), Some(arguments)) => login(user, &arguments, &Person(handle)),
            _ => Outcome::Failed,
        }
    }));
    match outcome {
        Ok(Outcome::Granted) => PAM_SUCCESS,
        Ok(Outcome::NotNeeded) => PAM_IGNORE,
        Ok(Outcome::Refused) => PAM_AUTH_ERR,
        Ok(Outcome::Failed) | Err(_) => PAM_AUTHINFO_UNAVAIL,
    }
}

/// A code gives no credentials; programs that ask for them all the same go on.
///
/// # Safety
/// libpam calls this; nothing is read.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pam_sm_setcred(
    _handle: *mut PamHandle,
    _flags: c_int,
    _count: c_int,
    _arguments: *const *const c_char,
) -> c_int {
    PAM_SUCCESS
}

/// The user who wants to log in.
///
/// # Safety
/// `handle` is libpam's; the text lives as long as the login.
unsafe fn user_of<'a>(handle: *mut PamHandle) -> Option<&'a str> {
    let mut user = ptr::null();
    // SAFETY: `user` outlives the call, and a missing prompt means the usual one.
    let status = unsafe { pam_get_user(handle, &raw mut user, ptr::null()) };
    if status != PAM_SUCCESS || user.is_null() {
        return None;
    }
    // SAFETY: libpam answered with a text that ends with zero.
    unsafe { CStr::from_ptr(user) }.to_str().ok()
}

/// The options as texts; `None` when one is not UTF-8.
///
/// # Safety
/// `arguments` points at `count` texts that end with zero and live as long as the login.
unsafe fn texts<'a>(count: c_int, arguments: *const *const c_char) -> Option<Vec<&'a str>> {
    let count = usize::try_from(count).ok()?;
    if count == 0 {
        return Some(Vec::new());
    }
    if arguments.is_null() {
        return None;
    }
    // SAFETY: as this function asks for.
    let pointers = unsafe { std::slice::from_raw_parts(arguments, count) };
    // SAFETY: as this function asks for.
    pointers.iter().map(|text| unsafe { CStr::from_ptr(*text) }.to_str().ok()).collect()
}

/// Whoever sits at the other end of the login.
struct Person(*mut PamHandle);

impl Person {
    /// Sends one message through the program that logs in, and takes the answer, which is wiped.
    fn converse(&self, style: c_int, text: &str) -> Option<Zeroizing<Vec<u8>>> {
        let text = CString::new(text).ok()?;
        let mut item = ptr::null();
        // SAFETY: the handle is libpam's for as long as this module is called.
        let status = unsafe { pam_get_item(self.0, PAM_ITEM_CONV, &raw mut item) };
        if status != PAM_SUCCESS || item.is_null() {
            return None;
        }
        // SAFETY: this item is a `struct pam_conv`, of which libpam keeps a copy.
        let conversation = unsafe { &*item.cast::<PamConversation>() };
        let message = PamMessage { style, text: text.as_ptr() };
        let mut messages = &raw const message;
        let mut response: *mut PamResponse = ptr::null_mut();
        let call = conversation.call?;
        // SAFETY: one message is passed, with room for the pointer to its response; all of it
        // outlives the call.
        let status = unsafe { call(1, &raw mut messages, &raw mut response, conversation.data) };
        if response.is_null() {
            return None;
        }
        // SAFETY: a response that is not null is one `struct pam_response`, ours to free, with a
        // text that is null or ends with zero, ours to free as well.
        let typed = unsafe {
            let typed = (*response).text;
            let copy = (!typed.is_null()).then(|| {
                let length = CStr::from_ptr(typed).count_bytes();
                let bytes = std::slice::from_raw_parts_mut(typed.cast::<u8>(), length);
                let copy = Zeroizing::new(bytes.to_vec());
                bytes.zeroize();
                copy
            });
            free(typed.cast());
            free(response.cast());
            copy
        };
        typed.filter(|_| status == PAM_SUCCESS)
    }
}

impl Conversation for Person {
    fn canonical(&self, user: &str) -> Option<String> {
        let user = CString::new(user).ok()?;
        // SAFETY: the handle is libpam's, which frees the answer when the login ends.
        let found = unsafe { pam_modutil_getpwnam(self.0, user.as_ptr()).as_ref() }?;
        if found.name.is_null() {
            return None;
        }
        // SAFETY: the name of a `struct passwd` ends with zero.
        unsafe { CStr::from_ptr(found.name) }.to_str().ok().map(str::to_owned)
    }

    fn ask(&self, prompt: &str) -> Option<Zeroizing<String>> {
        let typed = self.converse(PAM_PROMPT_ECHO_OFF, prompt)?;
        str::from_utf8(&typed).ok().map(|text| Zeroizing::new(text.to_owned()))
    }

    fn tell(&self, text: &str) {
        drop(self.converse(PAM_TEXT_INFO, text));
    }

    fn log(&self, text: &str) {
        let Ok(text) = CString::new(text) else { return };
        // SAFETY: the format takes one text, and gets one that ends with zero.
        unsafe { pam_syslog(self.0, LOG_PRIORITY, c"%s".as_ptr(), text.as_ptr()) }
    }
}
