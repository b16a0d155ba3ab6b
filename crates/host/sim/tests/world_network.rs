//! The simulated network as programs and scenario writers meet it.

#[path = "world_network/books.rs"]
mod books;
#[path = "world_network/changes.rs"]
mod changes;
#[path = "world_network/icmp.rs"]
mod icmp;
#[path = "world_network/links.rs"]
mod links;
#[path = "world_network/nat.rs"]
mod nat;
#[path = "world_network/programs.rs"]
mod programs;
#[path = "world_network/routing.rs"]
mod routing;
#[path = "world_network/support.rs"]
mod support;
#[path = "world_network/watching.rs"]
mod watching;
