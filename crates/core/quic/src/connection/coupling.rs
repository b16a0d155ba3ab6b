//! What the controller of a path is told of the others: whether they probe, how they do if windows are coupled, and that a
//! short queue is wanted because there are others. It decides no window.

use tq_cc::Probing;

use super::Connection;

impl Connection {
    /// The controller of path `ix` is about to hear of an acknowledgement.
    pub(crate) fn mind_neighbours(&mut self, ix: usize) {
        let several = self.paths.len() > 1;
        self.paths[ix].cc.govern(self.config.queue_governor.unwrap_or(several));
        if !several {
            return self.paths[ix].cc.on_neighbours(Probing::default());
        }
        let others = self.paths.iter().enumerate().filter(|(at, _)| *at != ix);
        let probing = others.fold(Probing::default(), |sum, (_, path)| {
            let one = path.cc.probing();
            Probing { more: sum.more || one.more, least: sum.least || one.least }
        });
        self.paths[ix].cc.on_neighbours(probing);
        let own = &self.paths[ix];
        let Some(own) = own.cc.member(&own.rtt) else { return };
        // One that carries nothing takes nothing from a link they may share.
        let others = self.paths.iter().enumerate().filter(|(at, path)| *at != ix && path.is_healthy());
        let members = others.filter_map(|(_, path)| path.cc.member(&path.rtt));
        let factor = tq_cc::factor(core::iter::once(own).chain(members));
        self.paths[ix].cc.couple(factor);
    }
}
