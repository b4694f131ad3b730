//! Links the C library that the core is compared with.

fn main() {
    println!("cargo:rustc-link-lib=oath");
}
