//! Prints the links of this machine as they come and go: `links [PATTERN…]` takes virtual interfaces of these names too.

use std::io;

use tq_net::links::{LinkEvent, Select, Watcher};

fn main() -> io::Result<()> {
    let allow: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut watcher = Watcher::new(Select { allow, deny: Vec::new() })?;
        loop {
            let LinkEvent { change, link } = watcher.next().await?;
            println!(
                "{change:?} {} ({}) {:?} via {:?} metric {} {:?} {:?}",
                link.device, link.index, link.addresses, link.gateways, link.metric, link.kind, link.cost
            );
        }
    })
}
