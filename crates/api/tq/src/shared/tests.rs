//! Who is woken when.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use super::Woken;

/// Writes down whose it is.
struct Note(u32, Arc<Mutex<Vec<u32>>>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn one_connection_with_thousands_of_tasks_does_not_keep_others_waiting() {
    let (mut woken, heard) = (Woken::default(), Arc::new(Mutex::new(Vec::new())));
    let task = |key| Some(Waker::from(Arc::new(Note(key, Arc::clone(&heard)))));
    for _ in 0..5000 {
        woken.add(1, task(1));
    }
    for key in 2..10 {
        woken.add(key, task(key));
        woken.add(key, task(key));
    }
    assert_eq!(woken.waiting(), 5016);
    assert!(woken.wake(18));
    let first = std::mem::take(&mut *heard.lock().unwrap());
    assert_eq!(first, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(!woken.wake(usize::MAX));
    assert_eq!((woken.waiting(), heard.lock().unwrap().len()), (0, 4998));
    // A connection that comes again goes to the end of the line.
    woken.add(3, task(3));
    woken.add(1, task(1));
    heard.lock().unwrap().clear();
    assert!(!woken.wake(2));
    assert_eq!(*heard.lock().unwrap(), [3, 1]);
}
