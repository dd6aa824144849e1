// Case 75's DLL: as in Rust's test dynamic-loading-cdylib, an object for each thread, whose destructor prints.
struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        println!("  the object of {} goes", self.0);
    }
}

thread_local!(static NOTED: std::cell::RefCell<Option<Noted>> = std::cell::RefCell::new(None));

#[no_mangle]
pub extern "C" fn register_thread(is_main: bool) {
    NOTED.with(|noted| *noted.borrow_mut() = Some(Noted(if is_main { "main" } else { "worker" })));
}
