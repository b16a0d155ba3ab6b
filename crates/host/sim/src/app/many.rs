//! Several programs over one connection. Each hears every event and ignores streams that are not its own; each has a
//! wake-up time of its own. Messages go to whichever reads first, which the ledger does not mind.

use tq_quic::Event;
use tq_time::Instant;

use super::{App, AppContext};
use crate::process::Notice;

/// Programs that share a connection.
#[derive(Default)]
pub struct Many(Vec<(Box<dyn App>, Option<Instant>)>);

impl Many {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one.
    #[must_use]
    pub fn and(mut self, app: impl App + 'static) -> Self {
        self.0.push((Box::new(app), None));
        self
    }

    /// As [`Many::and`], for a program in a box.
    #[must_use]
    pub fn and_boxed(mut self, app: Box<dyn App>) -> Self {
        self.0.push((app, None));
        self
    }

    fn each(&mut self, cx: &mut AppContext<'_>, mut call: impl FnMut(&mut dyn App, &mut AppContext<'_>)) {
        let now = cx.now();
        for (app, wake) in &mut self.0 {
            call(&mut **app, &mut AppContext::new(now, cx.connection(), wake));
        }
        let next = self.0.iter().filter_map(|(_, wake)| *wake).min();
        cx.wake_at(next);
    }
}

impl App for Many {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        self.each(cx, |app, cx| app.on_start(cx));
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event) {
        self.each(cx, |app, cx| app.on_event(cx, event));
    }

    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        self.each(cx, |app, cx| {
            if cx.wake().is_some_and(|at| at <= cx.now()) {
                cx.wake_at(None);
                app.on_wake(cx);
            }
        });
    }

    fn on_notice(&mut self, cx: &mut AppContext<'_>, notice: &Notice) {
        self.each(cx, |app, cx| app.on_notice(cx, notice));
    }
}
