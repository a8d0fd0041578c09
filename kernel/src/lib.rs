//! A Jupyter kernel for Rust with the ferrolens prelude in force.
//!
//! One binary is four programs: the kernel, the child that runs cells ([`child`]), the front for
//! the tools that the engine calls ([`toolchain`]), and the installer's hand ([`install`]).
//! ARCHITECTURE.md has the map.

pub mod analyzer;
pub mod assist;
pub mod bridge;
pub mod child;
pub mod comms;
pub mod history;
pub mod install;
pub mod pages;
pub mod run;
pub mod server;
pub mod session;
pub mod toolchain;
pub mod wire;
