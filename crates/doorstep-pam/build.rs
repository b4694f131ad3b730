//! Names libpam itself, not its development package: the file that every system with PAM has.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-l:libpam.so.0");
}
