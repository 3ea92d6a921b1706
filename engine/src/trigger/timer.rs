//! A timer for times of the clock on the wall: it also goes off when the clock was set or the machine slept, and otherwise wakes nobody.

#[cfg(target_os = "linux")]
mod clock {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use jiff::Timestamp;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    /// A timer of the kernel, and a thread that sleeps until it goes off.
    #[derive(Debug)]
    pub(in super::super) struct Timer {
        timer: Arc<OwnedFd>,
        is_over: Arc<AtomicBool>,
        gone_off: UnboundedReceiver<()>,
    }

    impl Timer {
        pub(in super::super) fn new() -> io::Result<Self> {
            let timer = Arc::new(timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?);
            let is_over = Arc::new(AtomicBool::new(false));
            let (sender, gone_off) = unbounded_channel();
            let (own, ends) = (Arc::clone(&timer), Arc::clone(&is_over));
            std::thread::Builder::new().name("timer".to_owned()).spawn(move || {
                let mut times = [0; 8];
                // It goes off, or was cancelled since the clock was set: whoever waits looks at the clock again.
                while matches!(
                    rustix::io::read(&own, &mut times),
                    Ok(_) | Err(rustix::io::Errno::CANCELED | rustix::io::Errno::INTR)
                ) && !ends.load(Ordering::Acquire)
                    && sender.send(()).is_ok()
                {}
            })?;
            Ok(Self { timer, is_over, gone_off })
        }

        /// Waits until a time, for ever if there is none. May return early.
        pub(in super::super) async fn until(&mut self, time: Option<Timestamp>) {
            while self.gone_off.try_recv().is_ok() {}
            if let Err(error) = self.set(time) {
                tracing::error!(%error, "the timer cannot be set");
            }
            if self.gone_off.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }

        fn set(&self, time: Option<Timestamp>) -> io::Result<()> {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            // A time of zero would disarm it.
            let spec = |time: Timestamp| Timespec {
                tv_sec: time.as_second().max(1),
                tv_nsec: time.subsec_nanosecond().max(0).into(),
            };
            let value = time.map_or(zero, spec);
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            timerfd_settime(&self.timer, flags, &Itimerspec { it_interval: zero, it_value: value })?;
            Ok(())
        }
    }

    impl Drop for Timer {
        fn drop(&mut self) {
            self.is_over.store(true, Ordering::Release);
            // The thread wakes, sees that, and ends.
            if let Err(error) = self.set(Some(Timestamp::UNIX_EPOCH)) {
                tracing::warn!(%error, "the thread of a timer is left to itself");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod clock {
    use std::io;
    use std::time::Duration;

    use jiff::Timestamp;

    /// The clock may be set meanwhile: it is looked at again after so long.
    const MOST: Duration = Duration::from_secs(30);

    /// The timer of the runtime.
    #[derive(Debug)]
    pub(in super::super) struct Timer;

    impl Timer {
        pub(in super::super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits until a time, for ever if there is none. May return early.
        pub(in super::super) async fn until(&mut self, time: Option<Timestamp>) {
            let Some(time) = time else { return std::future::pending().await };
            let left = time.duration_since(Timestamp::now()).max(jiff::SignedDuration::ZERO).unsigned_abs();
            tokio::time::sleep(left.min(MOST)).await;
        }
    }
}

pub(super) use clock::Timer;

#[cfg(test)]
mod tests {
    use std::io;

    use jiff::{SignedDuration, Timestamp};

    use super::*;

    #[tokio::test]
    async fn it_goes_off_at_its_time_and_at_once_for_the_past() -> io::Result<()> {
        let mut timer = Timer::new()?;
        timer.until(Some(Timestamp::UNIX_EPOCH)).await;
        let soon = Timestamp::now() + SignedDuration::from_millis(30);
        timer.until(Some(soon)).await;
        assert!(Timestamp::now() >= soon);
        let never = timer.until(None);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(10), never).await.is_err());
        Ok(())
    }
}
