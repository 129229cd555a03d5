//! What one connection is doing, and since when: whether it is overdue is asked from time to time.

use std::{
    collections::BTreeMap,
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
    /// The last step of each answer that has not ended, by the order in which they were asked for.
    answering: BTreeMap<u64, Instant>,
    /// Answers that were asked for.
    asked: u64,
    /// Bytes of the next request have come.
    is_hearing: bool,
    /// HTTP/2, where bytes between requests mean nothing.
    is_multiplexed: bool,
    /// The last step between answers.
    since: Instant,
}

/// A request in flight: until its answer has ended or was given up.
#[derive(Debug)]
pub(crate) struct Answering {
    activity: Arc<Activity>,
    number: u64,
}

impl Activity {
    /// Nothing has come yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Doing {
            answering: BTreeMap::new(),
            asked: 0,
            is_hearing: false,
            is_multiplexed: false,
            since: Instant::now(),
        }))
    }

    /// Bytes have come.
    pub(crate) fn heard(&self) {
        let mut doing = self.doing();
        if doing.answering.is_empty() && !doing.is_hearing && !doing.is_multiplexed {
            doing.is_hearing = true;
            doing.since = Instant::now();
        }
    }

    /// A request's head is complete.
    pub(crate) fn begin(self: &Arc<Self>, is_multiplexed: bool) -> Answering {
        let mut doing = self.doing();
        let number = doing.asked;
        doing.asked += 1;
        doing.answering.insert(number, Instant::now());
        doing.is_hearing = false;
        doing.is_multiplexed = is_multiplexed;
        Answering {
            activity: Arc::clone(self),
            number,
        }
    }

    /// What the connection should end for, if anything.
    pub(crate) fn overdue(&self, times: &Times) -> Option<Overdue> {
        let doing = self.doing();
        // A client that stalls one answer does not gain time by taking others.
        let stalled = doing.answering.values().min();
        let (since, bound, overdue) = match (stalled, doing.is_hearing) {
            (Some(stalled), _) => (stalled, times.silence, Overdue::Answer),
            (None, false) => (&doing.since, times.idle, Overdue::Idle),
            (None, true) => (&doing.since, times.head, Overdue::Head),
        };
        (since.elapsed() >= bound).then_some(overdue)
    }

    /// A panic elsewhere leaves numbers that are still right.
    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering {
    /// A part of the answer was taken.
    pub(crate) fn proceed(&self) {
        self.activity.doing().answering.insert(self.number, Instant::now());
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut doing = self.activity.doing();
        doing.answering.remove(&self.number);
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
    fn more_bytes_of_a_head_gain_no_time() {
        let activity = Arc::new(Activity::new());
        activity.heard();
        let heard = since(&activity);
        activity.heard();
        assert_eq!(since(&activity), heard);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_gains_time_by_its_own_progress_alone() {
        let minute = Duration::from_mins(1);
        let times = Times {
            silence: 2 * minute,
            ..NONE
        };
        let activity = Arc::new(Activity::new());
        let first = activity.begin(true);
        tokio::time::advance(minute).await;
        // Others, of which one is taken and one ends.
        let second = activity.begin(true);
        drop(activity.begin(true));
        tokio::time::advance(minute).await;
        second.proceed();
        assert_eq!(activity.overdue(&times), Some(Overdue::Answer));
        first.proceed();
        assert_eq!(activity.overdue(&times), None);
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
