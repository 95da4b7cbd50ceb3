fn main() {
    println!("cargo::rerun-if-changed=lmdb");
    cc::Build::new()
        .files(["lmdb/mdb.c", "lmdb/midl.c"])
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        .flag("-fvisibility=hidden")
        .flag_if_supported("-pthread")
        .opt_level(2)
        .warnings(false)
        .compile("lmdb");
}
