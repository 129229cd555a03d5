//! Tests of the timeout that applies to each step of a connection.

use super::*;

const EXPIRED: ActivityTimeouts = ActivityTimeouts {
    request_head: Duration::ZERO,
    keep_alive: Duration::ZERO,
    response_stall: Duration::ZERO,
    response_stall_after_half_close: Duration::ZERO,
};

/// The timeout that applies to the current step of the connection.
fn applicable_timeout(activity: &Activity) -> Option<ExpiredTimeout> {
    activity.expired_timeout(&EXPIRED)
}

#[test]
fn each_step_has_its_timeout() {
    let activity = Arc::new(Activity::new());
    assert_eq!(applicable_timeout(&activity), Some(ExpiredTimeout::KeepAlive));
    activity.on_head_bytes_received();
    assert_eq!(applicable_timeout(&activity), Some(ExpiredTimeout::RequestHead));
    let in_flight = activity.start_request();
    activity.on_head_bytes_received();
    assert_eq!(applicable_timeout(&activity), Some(ExpiredTimeout::ResponseStall));
    drop(in_flight);
    assert_eq!(applicable_timeout(&activity), Some(ExpiredTimeout::KeepAlive));
    activity.on_head_bytes_received();
    assert_eq!(applicable_timeout(&activity), Some(ExpiredTimeout::RequestHead));
}

#[test]
fn more_bytes_of_a_head_do_not_extend_its_timeout() {
    let activity = Arc::new(Activity::new());
    activity.on_head_bytes_received();
    let last_step_at = activity.state.lock().last_step_at;
    activity.on_head_bytes_received();
    assert_eq!(activity.state.lock().last_step_at, last_step_at);
}

#[tokio::test(start_paused = true)]
async fn progress_of_other_responses_does_not_extend_the_timeout() {
    let minute = Duration::from_mins(1);
    let timeouts = ActivityTimeouts {
        response_stall: 2 * minute,
        ..EXPIRED
    };
    let activity = Arc::new(Activity::new());
    let first = activity.start_request();
    tokio::time::advance(minute).await;
    let second = activity.start_request();
    drop(activity.start_request());
    tokio::time::advance(minute).await;
    second.on_progress();
    assert_eq!(activity.expired_timeout(&timeouts), Some(ExpiredTimeout::ResponseStall));
    first.on_progress();
    assert_eq!(activity.expired_timeout(&timeouts), None);
}

#[tokio::test(start_paused = true)]
async fn half_close_shortens_the_timeout_of_responses() {
    let second = Duration::from_secs(1);
    let timeouts = ActivityTimeouts {
        response_stall: 100 * second,
        response_stall_after_half_close: 10 * second,
        ..EXPIRED
    };
    let activity = Arc::new(Activity::new());
    assert!(!activity.wait_for_responses(Waker::noop()), "no response is in flight");
    let in_flight = activity.start_request();
    tokio::time::advance(20 * second).await;
    assert!(activity.wait_for_responses(Waker::noop()));
    tokio::time::advance(9 * second).await;
    assert!(
        activity.wait_for_responses(Waker::noop()),
        "another poll does not restart the timeout"
    );
    assert_eq!(activity.expired_timeout(&timeouts), None);
    tokio::time::advance(second).await;
    assert_eq!(activity.expired_timeout(&timeouts), Some(ExpiredTimeout::ResponseStall));
    in_flight.on_progress();
    assert_eq!(activity.expired_timeout(&timeouts), None, "the client reads the response");
}

#[test]
fn timeout_of_one_step_does_not_apply_to_the_next() {
    let long = Duration::from_mins(1);
    let activity = Arc::new(Activity::new());
    let keep_alive = ActivityTimeouts {
        keep_alive: long,
        ..EXPIRED
    };
    assert_eq!(activity.expired_timeout(&keep_alive), None);
    activity.on_head_bytes_received();
    let request_head = ActivityTimeouts {
        request_head: long,
        ..EXPIRED
    };
    assert_eq!(activity.expired_timeout(&request_head), None);
    let _in_flight = activity.start_request();
    let response_stall = ActivityTimeouts {
        response_stall: long,
        ..EXPIRED
    };
    assert_eq!(activity.expired_timeout(&response_stall), None);
}
