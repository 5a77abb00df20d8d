//! The helper of [`gp_sandbox`] as a program of its own: for tests, whose own binary is the test harness.

fn main() {
    gp_sandbox::sandbox_init_main()
}
