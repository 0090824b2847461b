//! The one place that splits work over threads.
//!
//! *Invariant:* what a task computes never depends on which thread runs it or on how many there
//! are; callers cut work into fixed tasks and reduce results in task order.

use std::sync::Mutex;

/// A fixed set of threads that share work; a caller from outside takes the place of one.
#[derive(Debug)]
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    n_threads: usize,
}

impl Workers {
    /// `n_threads` threads, at least one. One thread is the caller's own.
    ///
    /// If the system refuses the threads, the caller's own does all the work.
    pub fn new(n_threads: usize) -> Self {
        let n_threads = n_threads.max(1);
        let build = || rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().ok();
        let pool = if n_threads == 1 { None } else { build() };
        let n_threads = if pool.is_some() { n_threads } else { 1 };
        Self { pool, n_threads }
    }

    /// How many threads work: how many scratches [`each_with`](Self::each_with) makes at most.
    pub fn n_threads(&self) -> usize {
        self.n_threads
    }

    /// Runs `work` on one of the threads. What it hands out in small pieces costs less there: when
    /// the pieces are done it takes back the help that nobody has come to give, where a caller from
    /// outside has to wait until a thread has woken up for nothing.
    pub fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs `body` on every task, each thread with a scratch of its own.
    ///
    /// Tasks are handed out in order. The scratch must not carry anything from task to task that
    /// the result depends on.
    pub fn each_with<S, T: Send>(
        &self,
        tasks: Vec<T>,
        scratch: impl Fn() -> S + Sync,
        body: impl Fn(&mut S, T) + Sync,
    ) {
        let helpers = self.n_threads.min(tasks.len()).saturating_sub(1);
        let queue = Mutex::new(tasks.into_iter());
        let work = || {
            let mut own = scratch();
            loop {
                // A poisoned queue means another task panicked; that panic is on its way.
                let Some(task) = queue.lock().ok().and_then(|mut queue| queue.next()) else {
                    break;
                };
                body(&mut own, task);
            }
        };
        match &self.pool {
            Some(pool) if helpers > 0 && pool.current_thread_index().is_some() => {
                rayon::scope(|scope| share(scope, helpers, &work));
            }
            Some(pool) if helpers > 0 => pool.in_place_scope(|scope| share(scope, helpers, &work)),
            _ => work(),
        }
    }

    /// Runs `body` on every task.
    pub fn each<T: Send>(&self, tasks: Vec<T>, body: impl Fn(T) + Sync) {
        self.each_with(tasks, || (), |(), task| body(task));
    }

    /// The results of `body(0)`, `body(1)` … in that order.
    pub fn map<R: Send>(&self, n_tasks: usize, body: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let mut results: Vec<Option<R>> = (0..n_tasks).map(|_| None).collect();
        let tasks: Vec<_> = results.iter_mut().enumerate().collect();
        self.each(tasks, |(index, slot)| *slot = Some(body(index)));
        results.into_iter().flatten().collect()
    }
}

/// Works here, with the help of so many others.
fn share<'s>(scope: &rayon::Scope<'s>, helpers: usize, work: &'s (impl Fn() + Sync)) {
    (0..helpers).for_each(|_| scope.spawn(|_| work()));
    work();
}

/// Things that wait between the two ends of a [`pipeline`], at most.
pub const WAITING: usize = 4;

/// Runs `produce` on a thread of its own and hands what it sends to `consume`, here, in order. A
/// few things ([`WAITING`]) may stand between the two; a send is false once `consume` has failed.
///
/// # Errors
/// That of `consume`.
pub fn pipeline<T: Send, R: Send, E>(
    produce: impl FnOnce(&dyn Fn(T) -> bool) -> R + Send,
    mut consume: impl FnMut(T) -> Result<(), E>,
) -> Result<R, E> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(WAITING);
    std::thread::scope(|scope| {
        let producer = scope.spawn(move || produce(&|thing| sender.send(thing).is_ok()));
        let mut result = Ok(());
        for thing in &receiver {
            result = consume(thing);
            if result.is_err() {
                break;
            }
        }
        drop(receiver);
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.map(|()| produced)
    })
}

/// Work that goes on beside its caller, such as reading and writing files.
#[derive(Debug)]
pub struct Aside<T>(std::thread::JoinHandle<T>);

/// Begins work beside the caller.
pub fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Aside<T> {
    Aside(std::thread::spawn(work))
}

impl<T> Aside<T> {
    /// True once the work is done.
    pub fn is_done(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for what it came to.
    pub fn wait(self) -> T {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_keeps_the_order_and_stops_when_its_end_fails() {
        let mut seen = Vec::new();
        let sent = pipeline(
            |send| (0..1000).take_while(|n| send(*n)).count(),
            |n| {
                seen.push(n);
                Ok::<(), ()>(())
            },
        );
        assert_eq!((sent, seen), (Ok(1000), (0..1000).collect::<Vec<i32>>()));
        let failed = pipeline(
            |send| (0..).take_while(|n| send(*n)).count(),
            |n| if n == 10 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(failed, Err("enough"));
    }

    #[test]
    fn work_aside_is_done_when_it_was_waited_for() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let work = aside(move || receiver.recv().unwrap_or(0) * 2);
        assert!(!work.is_done());
        sender.send(21).unwrap();
        assert_eq!(work.wait(), 42);
    }

    #[test]
    fn every_task_runs_once_and_results_keep_their_order() {
        for n_threads in [1, 2, 5] {
            let workers = Workers::new(n_threads);
            assert_eq!(workers.map(100, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
            let mut items = [0u32; 37];
            workers.each(items.iter_mut().collect(), |item| *item += 1);
            assert!(items.iter().all(|item| *item == 1));
            // From one of the threads, and from within a task.
            let squares = |n: usize| workers.map(n, |i| i * i).into_iter().sum::<usize>();
            let found = workers.within(|| workers.map(20, squares));
            assert_eq!(found, (0..20).map(squares).collect::<Vec<_>>());
        }
    }
}
