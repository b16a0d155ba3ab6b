//! CPU time and wall time of what was done, told as a line.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Many, Turns};

/// Something under way.
pub struct Meter {
    stack: &'static str,
    begin: Instant,
    user: Duration,
    system: Duration,
}

impl Meter {
    /// Begins to measure the stack of this name.
    pub fn start(stack: &'static str) -> Self {
        let (user, system) = cpu();
        Self { stack, begin: Instant::now(), user, system }
    }

    /// Prints what happened since the start.
    pub fn stop(self, role: &str, bytes: u64, json: bool, detail: &str) {
        let (stack, seconds) = (self.stack, self.begin.elapsed().as_secs_f64());
        let (user, system) = cpu();
        let (user, system) = ((user - self.user).as_secs_f64(), (system - self.system).as_secs_f64());
        let gbits = bytes as f64 * 8e-9 / seconds;
        let per_gb = (user + system) / (bytes.max(1) as f64 * 1e-9);
        if json {
            println!(
                r#"{{"stack":"{stack}","role":"{role}","bytes":{bytes},"seconds":{seconds:.6},"gbit_s":{gbits:.4},"cpu_user":{user:.6},"cpu_system":{system:.6},"cpu_s_per_gb":{per_gb:.4}}}"#
            );
        } else {
            println!(
                "{role}: {bytes} bytes in {seconds:.3} s = {gbits:.2} Gbit/s, CPU {user:.2} + {system:.2} s = {per_gb:.3} s/GB"
            );
            println!("{role}: {detail}");
        }
    }

    /// Prints how often something was done since the start.
    pub fn count(self, what: &str, turns: &Turns, &Many { outstanding, json, .. }: &Many) {
        let latencies = &turns.latencies;
        let (stack, seconds) = (self.stack, self.begin.elapsed().as_secs_f64());
        let (user, system) = cpu();
        let cpu = (user - self.user + system - self.system).as_secs_f64();
        let count = latencies.count();
        let (p50, p99) = (latencies.quantile_us(0.5), latencies.quantile_us(0.99));
        let (per_s, cpu_ms) = (count as f64 / seconds, cpu * 1e3 / count.max(1) as f64);
        if json {
            println!(
                r#"{{"stack":"{stack}","what":"{what}","outstanding":{outstanding},"count":{count},"seconds":{seconds:.6},"per_s":{per_s:.1},"client_cpu_ms":{cpu_ms:.4},"p50_us":{p50:.1},"p99_us":{p99:.1}}}"#
            );
        } else {
            println!("{count} {what}, {outstanding} at a time: {per_s:.0}/s, CPU {cpu_ms:.4} ms each");
            println!("each took {p50:.0} us (median), {p99:.0} us (99 %)");
        }
    }
}

/// User and system time of this process.
fn cpu() -> (Duration, Duration) {
    // SAFETY: `rusage` is plain integers; the kernel fills in the one we pass.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (time(usage.ru_utime), time(usage.ru_stime))
}
