// Case 76, and the example of Rust's pull request 148799: the destructor of a thread-local object joins a thread. Rust
// 1.63 runs it in a TLS callback, under the loader lock, which the other thread needs to end.
use std::cell::RefCell;
use std::sync::mpsc::{channel, Sender};
use std::thread::{spawn, JoinHandle};

struct JoinOnDrop(Sender<()>, Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.take().unwrap().join().unwrap();
    }
}

thread_local!(static HANDLE: RefCell<Option<JoinOnDrop>> = RefCell::new(None));

fn main() {
    let thread = spawn(|| {
        let (go, wait) = channel();
        let (started, await_start) = channel();
        let other = spawn(move || {
            started.send(()).unwrap();
            wait.recv().unwrap(); // it is still there when the destructor runs
        });
        await_start.recv().unwrap();
        HANDLE.with(|handle| *handle.borrow_mut() = Some(JoinOnDrop(go, Some(other))));
        println!("the thread ends");
    });
    thread.join().unwrap();
    println!("done");
}
