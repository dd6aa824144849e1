// A plain program: threads, objects for each thread whose destructors run when it ends, panics that are caught here
// and in another thread, and text to standard output.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, panic_any, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Counted(usize);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(self.0, Ordering::SeqCst);
    }
}

thread_local! {
    static OWN: RefCell<Vec<Counted>> = RefCell::new(Vec::new());
    static NUMBER: RefCell<u64> = RefCell::new(7);
}

/// Eight threads, each with objects of its own, all alive at once.
fn objects_of_threads() {
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8u64)
        .map(|i| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                OWN.with(|own| own.borrow_mut().push(Counted(1)));
                NUMBER.with(|number| *number.borrow_mut() += i);
                barrier.wait();
                OWN.with(|own| own.borrow_mut().push(Counted(10)));
                NUMBER.with(|number| *number.borrow())
            })
        })
        .collect();
    let numbers: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    println!("numbers {:?}, dropped {}", numbers, DROPPED.load(Ordering::SeqCst));
    println!("main's number {}", NUMBER.with(|number| *number.borrow()));
}

fn shared_state() {
    let words = Arc::new(RwLock::new(BTreeMap::new()));
    let (sender, receiver) = channel();
    let threads: Vec<_> = ["one", "two", "three"]
        .iter()
        .map(|word| {
            let (words, sender) = (words.clone(), sender.clone());
            thread::Builder::new()
                .name(word.to_string())
                .stack_size(256 * 1024)
                .spawn(move || {
                    words.write().unwrap().insert(word.len() * 10 + word.as_bytes()[0] as usize, *word);
                    sender.send(thread::current().name().unwrap().len()).unwrap();
                })
                .unwrap()
        })
        .collect();
    drop(sender);
    let sum: usize = receiver.iter().sum();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    println!("words {:?}, sum {}", words.read().unwrap(), sum);
    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    let other = turn.clone();
    let thread = thread::spawn(move || {
        let mut at = other.0.lock().unwrap();
        while *at < 5 {
            *at += 1;
            other.1.notify_one();
            at = other.1.wait_timeout(at, Duration::from_millis(1)).unwrap().0;
        }
    });
    let mut at = turn.0.lock().unwrap();
    while *at < 5 {
        at = turn.1.wait(at).unwrap();
    }
    drop(at);
    thread.join().unwrap();
    println!("turns taken");
}

fn recurse(depth: u32) -> u32 {
    let _counted = Counted(100);
    if depth == 0 {
        panic!("at the bottom");
    }
    recurse(depth - 1) + 1
}

fn panics() {
    DROPPED.store(0, Ordering::SeqCst);
    let caught = catch_unwind(|| recurse(9)).unwrap_err();
    println!("caught {:?}, dropped {}", caught.downcast_ref::<&str>(), DROPPED.load(Ordering::SeqCst));

    let values = vec![1, 2, 3];
    let index = values.len();
    let caught = catch_unwind(AssertUnwindSafe(|| values[index])).unwrap_err();
    println!("caught {:?}", caught.downcast_ref::<String>());

    let thread = thread::spawn(|| {
        OWN.with(|own| own.borrow_mut().push(Counted(5)));
        panic_any(42u8)
    });
    let caught = thread.join().unwrap_err();
    println!("a thread panicked with {:?}", caught.downcast_ref::<u8>());
    let again = catch_unwind(AssertUnwindSafe(|| resume_unwind(caught))).unwrap_err();
    println!("and so did its caller, {:?}; dropped {}", again.downcast_ref::<u8>(), DROPPED.load(Ordering::SeqCst));

    let mutex = Arc::new(Mutex::new(1));
    let held = mutex.clone();
    let _ = thread::spawn(move || {
        let _guard = held.lock().unwrap();
        panic!("with the lock");
    })
    .join();
    println!("poisoned {}", mutex.lock().is_err());
    let total: usize = (0..4)
        .map(|_| thread::spawn(|| (0..50).filter(|i| catch_unwind(|| assert!(i % 2 == 0)).is_err()).count()))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    println!("{} panics in four threads at once", total);
}

fn main() {
    objects_of_threads();
    shared_state();
    std::panic::set_hook(Box::new(|_| {})); // or each says on standard error where it was
    panics();
}
