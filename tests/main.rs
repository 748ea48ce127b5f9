//! End-to-end tests: real programs under the real libleak.so, read by the real leak-analyze.
//!
//! One program, so that tests of different files run side by side, and that it is linked once.

// What the library records.
mod allocators;
mod company;
mod control_flow;
mod entry_points;
mod growth;
mod loader;
mod mappings;
mod odd_stacks;
mod old_systems;
mod sampling;
mod stack_use;
mod stacks;
mod threads;

// How processes begin and end.
mod children;
mod endings;
mod kept_out;
mod killed;
mod processes;
mod signals;

// What is lost.
mod annotated;
mod baseline;
mod bisect;
mod ci_formats;
mod gate;
mod held;
mod kinds;
mod last;
mod leak_check;
mod markdown;
mod markers;
mod select;
mod siblings;
mod suppressions;
mod types;
mod wrong_frees;

// The file and the settings.
mod library;
mod ring;
mod settings;
mod transparency;

// The analyzer and the scripts, as people call them.
mod benchmark;
mod bundle;
mod command_line;
mod debug_info;
mod debuginfod;
mod diff;
mod exports;
mod html;
mod html_sorts;
mod make_check;
mod recipes;
mod scripts;
mod shell;
mod trees;

// Programs nobody here wrote.
mod real_programs;
mod real_servers;
mod transparent_commands;
mod walks;

// Where resources are short, and where nobody is to be trusted.
mod containers;
mod resources;
mod security;

// For long, and much.
mod scale;
mod soak;

// What the docs say.
mod documents;
