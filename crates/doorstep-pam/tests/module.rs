//! The module as libpam will find it. What it does at a login is tested beside the command, which
//! makes its gates (`doorstep-cli/tests/gate_pam.rs`).

#[test]
fn it_is_built_with_its_entry_points_and_the_name_of_libpam() {
    let file = std::env::current_exe().unwrap().with_file_name("libpam_doorstep.so");
    let module = std::fs::read(&file).unwrap();
    for name in ["pam_sm_authenticate\0", "pam_sm_setcred\0", "libpam.so.0\0"] {
        let found = module.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(found, "{name} is not in {}", file.display());
    }
}
