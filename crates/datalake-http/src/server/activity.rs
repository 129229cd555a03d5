//! What one connection is doing, and since when: whether it is overdue is asked from time to time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    response_budget::ResponsePermit,
    server::{request_error::RequestError, request_stream::Rejection},
};

/// How long each step may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From the first byte of a request to the end of its head.
    pub(crate) head: Duration,
    /// From the end of one answer, or from the beginning, to the next request.
    pub(crate) idle: Duration,
    /// From one sign of life of an answer to the next.
    pub(crate) silence: Duration,
    /// The same once the client sends no more: it may have gone.
    pub(crate) silence_to_ended: Duration,
}

/// Why a connection should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Nothing was asked for a long time.
    Idle,
    /// A request is incomplete.
    Head,
    /// A response is not read by the client, or is not ready in the time for a client that sends no more.
    Answer,
}

/// One connection's requests.
#[derive(Debug)]
pub(crate) struct Activity {
    doing: Mutex<Doing>,
    /// How often the connection was polled.
    polls: AtomicU64,
}

#[derive(Debug)]
struct Doing {
    /// The last step of each answer that has not ended, by the order in which they were asked for.
    answering: BTreeMap<u64, Instant>,
    /// Answers that were asked for.
    asked: u64,
    /// Bytes of the next request have come.
    is_hearing: bool,
    /// The last step between answers.
    since: Instant,
    /// Whether an incomplete head must be rejected.
    is_timed_out: bool,
    /// The request that was refused; the connection ends with it.
    refusal: Option<Rejection>,
    /// Since when the client sends no more while answers go on, and who waits for their end.
    ended: Option<(Instant, Waker)>,
    /// What answers hold whose last bytes are still in the buffer of the connection.
    unwritten: Vec<ResponsePermit>,
}

/// A request in flight: until its answer has ended or was given up.
#[derive(Debug)]
pub(crate) struct Answering {
    activity: Arc<Activity>,
    number: u64,
    held: Option<ResponsePermit>,
}

impl Activity {
    /// Nothing has come yet.
    pub(crate) fn new() -> Self {
        let doing = Mutex::new(Doing {
            answering: BTreeMap::new(),
            asked: 0,
            is_hearing: false,
            since: Instant::now(),
            is_timed_out: false,
            refusal: None,
            ended: None,
            unwritten: Vec::new(),
        });
        Self {
            doing,
            polls: AtomicU64::new(0),
        }
    }

    /// The connection is polled.
    pub(crate) fn begin_poll(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// Which poll of the connection this is.
    pub(crate) fn poll(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// Bytes have come.
    pub(crate) fn heard(&self) {
        let mut doing = self.doing();
        if doing.answering.is_empty() && !doing.is_hearing {
            doing.is_hearing = true;
            doing.since = Instant::now();
        }
    }

    /// Requests the rejection of the incomplete head. Returns false if it was requested before.
    pub(crate) fn time_out(&self) -> bool {
        !std::mem::replace(&mut self.doing().is_timed_out, true)
    }

    /// Whether the incomplete head must be rejected.
    pub(crate) fn is_timed_out(&self) -> bool {
        self.doing().is_timed_out
    }

    /// A request was refused before hyper saw it.
    pub(crate) fn refuse(&self, refusal: Rejection) {
        self.doing().refusal = Some(refusal);
    }

    /// The client sends no more. Whether there are answers that it may still take; the waker is woken at the end of the last.
    pub(crate) fn wait_for_answers(&self, waker: &Waker) -> bool {
        let mut doing = self.doing();
        if doing.answering.is_empty() {
            return false;
        }
        let since = doing.ended.take().map_or_else(Instant::now, |(since, _)| since);
        doing.ended = Some((since, waker.clone()));
        true
    }

    /// A request's head is complete.
    pub(crate) fn begin(self: &Arc<Self>) -> Answering {
        let mut doing = self.doing();
        let number = doing.asked;
        doing.asked += 1;
        doing.answering.insert(number, Instant::now());
        doing.is_hearing = false;
        Answering {
            activity: Arc::clone(self),
            number,
            held: None,
        }
    }

    /// The buffer of the connection is empty.
    pub(crate) fn written(&self) {
        let mut doing = self.doing();
        if !doing.unwritten.is_empty() {
            doing.unwritten.clear();
        }
    }

    /// What the connection should end for, if anything.
    pub(crate) fn overdue(&self, times: &Times) -> Option<Overdue> {
        let doing = self.doing();
        // A client that stalls one answer does not gain time by taking others.
        let stalled = doing.answering.values().min();
        let ended = doing.ended.as_ref().map(|(since, _)| since);
        let (since, bound, overdue) = match (stalled, doing.is_hearing) {
            (Some(stalled), _) => match ended {
                Some(ended) => (stalled.max(ended), times.silence_to_ended, Overdue::Answer),
                None => (stalled, times.silence, Overdue::Answer),
            },
            (None, false) => (&doing.since, times.idle, Overdue::Idle),
            (None, true) => (&doing.since, times.head, Overdue::Head),
        };
        (since.elapsed() >= bound).then_some(overdue)
    }

    /// A panic elsewhere leaves numbers that are still right.
    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering {
    /// Why the request was refused before it came here, if it was.
    pub(crate) fn refusal(&self) -> Option<RequestError> {
        let mut doing = self.activity.doing();
        let refusal = doing.refusal.take_if(|refusal| refusal.number == self.number);
        refusal.map(|refusal| refusal.error)
    }

    /// Holds this until the last byte of the answer is written.
    pub(crate) fn hold(&mut self, held: ResponsePermit) {
        self.held = Some(held);
    }

    /// A part of the answer was taken.
    pub(crate) fn proceed(&self) {
        self.activity.doing().answering.insert(self.number, Instant::now());
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut doing = self.activity.doing();
        doing.answering.remove(&self.number);
        doing.unwritten.extend(self.held.take());
        doing.since = Instant::now();
        if doing.answering.is_empty()
            && let Some((_, reader)) = doing.ended.take()
        {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Times = Times {
        head: Duration::ZERO,
        idle: Duration::ZERO,
        silence: Duration::ZERO,
        silence_to_ended: Duration::ZERO,
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
        let answering = activity.begin();
        activity.heard();
        assert_eq!(doing(&activity), Some(Overdue::Answer));
        drop(answering);
        assert_eq!(doing(&activity), Some(Overdue::Idle));
        activity.heard();
        assert_eq!(doing(&activity), Some(Overdue::Head));
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
        let first = activity.begin();
        tokio::time::advance(minute).await;
        // Others, of which one is taken and one ends.
        let second = activity.begin();
        drop(activity.begin());
        tokio::time::advance(minute).await;
        second.proceed();
        assert_eq!(activity.overdue(&times), Some(Overdue::Answer));
        first.proceed();
        assert_eq!(activity.overdue(&times), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_a_client_that_sends_no_more_has_less_time() {
        let second = Duration::from_secs(1);
        let times = Times {
            silence: 100 * second,
            silence_to_ended: 10 * second,
            ..NONE
        };
        let activity = Arc::new(Activity::new());
        assert!(!activity.wait_for_answers(Waker::noop()), "there is no answer to wait for");
        let answering = activity.begin();
        tokio::time::advance(20 * second).await;
        assert!(activity.wait_for_answers(Waker::noop()));
        tokio::time::advance(9 * second).await;
        assert!(activity.wait_for_answers(Waker::noop()), "it looks again");
        assert_eq!(activity.overdue(&times), None);
        tokio::time::advance(second).await;
        assert_eq!(activity.overdue(&times), Some(Overdue::Answer));
        answering.proceed();
        assert_eq!(activity.overdue(&times), None, "it is being taken");
    }

    #[test]
    fn each_step_has_its_own_time() {
        let long = Duration::from_mins(1);
        let (head, idle, silence) = (long, long, long);
        let activity = Arc::new(Activity::new());
        assert_eq!(activity.overdue(&Times { idle, ..NONE }), None);
        activity.heard();
        assert_eq!(activity.overdue(&Times { head, ..NONE }), None);
        let _answering = activity.begin();
        assert_eq!(activity.overdue(&Times { silence, ..NONE }), None);
    }
}
