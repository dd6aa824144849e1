// Case 75: loads a DLL, calls it on two threads, of which one ends, and unloads it.
use std::ffi::c_void;

extern "system" {
    fn LoadLibraryA(name: *const u8) -> *mut c_void;
    fn GetProcAddress(module: *mut c_void, name: *const u8) -> *mut c_void;
    fn FreeLibrary(module: *mut c_void) -> i32;
}

fn main() {
    let module = unsafe { LoadLibraryA(b"library.dll\0".as_ptr()) };
    let register_thread: extern "C" fn(bool) =
        unsafe { std::mem::transmute(GetProcAddress(module, b"register_thread\0".as_ptr())) };
    println!("loaded");
    register_thread(true);
    std::thread::spawn(move || register_thread(false)).join().unwrap();
    println!("thread joined\nunloading");
    unsafe { FreeLibrary(module) };
    println!("unloaded");
}
