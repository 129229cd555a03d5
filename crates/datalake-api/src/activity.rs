//! What one connection is doing, and since when: whether it is overdue is asked from time to time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long each step may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From the first byte of a request to the end of its head.
    pub(crate) head: Duration,
    /// From the end of one answer, or from the beginning, to the next request.
    pub(crate) idle: Duration,
    /// From one sign of life of an answer to the next.
    pub(crate) silence: Duration,
}

/// Why a connection should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Nothing was asked for a long time.
    Idle,
    /// A request was begun and is not complete.
    Head,
    /// An answer was begun and is not taken.
    Answer,
}

/// One connection's requests.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Doing>);

#[derive(Debug)]
struct Doing {
    /// Requests whose answers have not ended.
    answering: usize,
    /// Bytes of the next request have come.
    is_hearing: bool,
    /// HTTP/2, where bytes between requests mean nothing.
    is_multiplexed: bool,
    /// The last step of whatever is done.
    since: Instant,
}

/// A request in flight: until its answer has ended or was given up.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Activity>);

impl Activity {
    /// Nothing has come yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Doing {
            answering: 0,
            is_hearing: false,
            is_multiplexed: false,
            since: Instant::now(),
        }))
    }

    /// Bytes have come.
    pub(crate) fn heard(&self) {
        let mut doing = self.doing();
        if doing.answering == 0 && !doing.is_hearing && !doing.is_multiplexed {
            doing.is_hearing = true;
            doing.since = Instant::now();
        }
    }

    /// A request's head is complete.
    pub(crate) fn begin(self: &Arc<Self>, is_multiplexed: bool) -> Answering {
        let mut doing = self.doing();
        // A client that stalls one answer does not gain time by asking for others.
        if doing.answering == 0 {
            doing.since = Instant::now();
        }
        doing.answering += 1;
        doing.is_hearing = false;
        doing.is_multiplexed = is_multiplexed;
        Answering(Arc::clone(self))
    }

    /// What the connection should end for, if anything.
    pub(crate) fn overdue(&self, times: &Times) -> Option<Overdue> {
        let doing = self.doing();
        let (bound, overdue) = match (doing.answering, doing.is_hearing) {
            (0, false) => (times.idle, Overdue::Idle),
            (0, true) => (times.head, Overdue::Head),
            _ => (times.silence, Overdue::Answer),
        };
        (doing.since.elapsed() >= bound).then_some(overdue)
    }

    /// A panic elsewhere leaves numbers that are still right.
    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering {
    /// A part of the answer was taken.
    pub(crate) fn proceed(&self) {
        self.0.doing().since = Instant::now();
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.answering -= 1;
        doing.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Times = Times {
        head: Duration::ZERO,
        idle: Duration::ZERO,
        silence: Duration::ZERO,
    };

    /// What a connection without any time is overdue with: what it is doing.
    fn doing(activity: &Activity) -> Option<Overdue> {
        activity.overdue(&NONE)
    }

    fn since(activity: &Activity) -> Instant {
        activity.doing().since
    }

    #[test]
    fn steps_of_one_request_after_the_other() {
        let activity = Arc::new(Activity::new());
        assert_eq!(doing(&activity), Some(Overdue::Idle));
        activity.heard();
        assert_eq!(doing(&activity), Some(Overdue::Head));
        let answering = activity.begin(false);
        activity.heard();
        assert_eq!(doing(&activity), Some(Overdue::Answer));
        drop(answering);
        assert_eq!(doing(&activity), Some(Overdue::Idle));
        activity.heard();
        assert_eq!(doing(&activity), Some(Overdue::Head));
    }

    #[test]
    fn frames_between_requests_are_no_request() {
        let activity = Arc::new(Activity::new());
        let (first, second) = (activity.begin(true), activity.begin(true));
        drop(first);
        assert_eq!(doing(&activity), Some(Overdue::Answer));
        drop(second);
        activity.heard();
        assert_eq!(doing(&activity), Some(Overdue::Idle));
    }

    #[test]
    fn time_is_gained_by_progress_alone() {
        let activity = Arc::new(Activity::new());
        activity.heard();
        let heard = since(&activity);
        // More bytes of the same head.
        activity.heard();
        assert_eq!(since(&activity), heard);
        let first = activity.begin(true);
        let begun = since(&activity);
        assert!(begun > heard);
        // Another answer, while the first is not taken.
        let _second = activity.begin(true);
        assert_eq!(since(&activity), begun);
        first.proceed();
        assert!(since(&activity) > begun);
    }

    #[test]
    fn each_step_has_its_own_time() {
        let long = Duration::from_mins(1);
        let (head, idle, silence) = (long, long, long);
        let activity = Arc::new(Activity::new());
        assert_eq!(activity.overdue(&Times { idle, ..NONE }), None);
        activity.heard();
        assert_eq!(activity.overdue(&Times { head, ..NONE }), None);
        let _answering = activity.begin(false);
        assert_eq!(activity.overdue(&Times { silence, ..NONE }), None);
    }
}
