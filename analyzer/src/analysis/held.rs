//! How the blocks of a stack are held: the way from a root that most of them share, with names.

use super::frames::{Frame, NamedStacks, Names, module_ref};
use super::outstanding::Group;
use super::types::{block_type, class_type};
use crate::symbols::{ModuleRef, Request, Variable};
use crate::trace::{self, Amount, Root, Trace, Way};
use libleak_format::roots::RootKind;
use std::cmp::Reverse;
use std::collections::HashMap;

/// How the blocks of a stack are held.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The way that most of them share; `None` where no check found one.
    pub way: Option<HeldBy>,
    /// How many words point to one of them on average; `None` where no check counted.
    pub references: Option<f64>,
    /// What is lost with those that are definitely lost, by the stacks that allocated it, most bytes first; the first ones.
    pub lost: Vec<Lost>,
    /// The class of nearly all of them, where they are objects with virtual functions.
    pub class: Option<String>,
}

/// Blocks that are lost with others.
#[derive(Clone, Debug)]
pub struct Lost {
    /// How many, and their bytes.
    pub amount: Amount,
    /// The stack that allocated them.
    pub frames: Vec<Frame>,
    /// Their type, if the frames tell.
    pub block_type: Option<String>,
}

/// A way from a root to blocks.
#[derive(Clone, Debug)]
pub struct HeldBy {
    /// The share of the blocks, by a sample, that are held this way, 0 to 1.
    pub share: f64,
    /// Where it begins; `None` if that is not known.
    pub root: Option<NamedRoot>,
    /// The blocks between, from the root on.
    pub steps: Vec<Step>,
}

/// A root with its name.
#[derive(Clone, Debug)]
pub struct NamedRoot {
    /// What it is.
    pub kind: RootKind,
    /// Where it is; 0 for a register.
    pub address: u64,
    /// Index of the module whose data it is.
    pub module: Option<usize>,
    /// The variable.
    pub variable: Option<Variable>,
}

/// Blocks in a row that were allocated by the same stack.
#[derive(Clone, Debug)]
pub struct Step {
    /// How many.
    pub blocks: u64,
    /// The stack; empty where these are blocks of several, in the middle of a long way.
    pub frames: Vec<Frame>,
    /// Their type, if the frames tell.
    pub block_type: Option<String>,
    /// Whether they are others of the stack whose blocks are held: a list.
    pub is_own: bool,
}

/// An object is a block whose class most blocks of the stack have: at least this share.
const NEARLY_ALL: f64 = 0.95;
/// Stacks that are named of what is lost with others.
const MOST_LOST: usize = 8;

/// How the blocks of these groups are held; in the same order.
pub(super) fn held(trace: &Trace, names: &Names, groups: &[&Group]) -> Vec<Held> {
    let of = |group: &Group| if group.inherited { Vec::new() } else { group.sites.clone() };
    let found = trace.held(&groups.iter().map(|group| of(group)).collect::<Vec<_>>());
    let modules: Vec<ModuleRef> = trace.modules.iter().map(module_ref).collect();
    let variables = Variables::look_up(trace, names, &modules, &found);
    let chosen: Vec<Option<(f64, &Way)>> =
        found.iter().map(|held| variables.most_common(&held.ways)).collect();
    let lost: Vec<Vec<(usize, Amount)>> = found.iter().map(largest).collect();
    let on_ways = chosen.iter().flatten().flat_map(|(_, way)| way.steps.iter().filter_map(|step| step.0));
    let with_others = lost.iter().flatten().map(|(site, _)| *site);
    let stacks = Stacks::look_up(trace, names, on_ways.chain(with_others).collect());
    let all = found.iter().zip(groups).zip(chosen).zip(lost);
    all.map(|(((held, group), chosen), lost)| Held {
        lost: lost.into_iter().map(|(site, amount)| stacks.lost(site, amount)).collect(),
        way: chosen.map(|(share, way)| HeldBy {
            share,
            root: way.root.map(|root| variables.root(root)),
            steps: way.steps.iter().map(|(site, blocks)| stacks.step(*site, *blocks, group)).collect(),
        }),
        references: (held.blocks > 0).then(|| held.references as f64 / held.blocks as f64),
        class: variables.class(held),
    })
    .collect()
}

/// What to ask about an address of the process's data; `None` if it is in no module.
pub(super) fn locate(trace: &Trace, address: u64) -> Option<Request> {
    let mut modules = trace.modules.iter().enumerate();
    // The last one that was there.
    let (index, module) = modules.rfind(|(_, module)| (module.start..module.end).contains(&address))?;
    Some(Request { module: index, svma: address.wrapping_sub(module.bias), exact: true })
}

/// Variables by their addresses in the process.
struct Variables(HashMap<u64, (usize, Option<Variable>)>);

impl Variables {
    fn look_up(trace: &Trace, names: &Names, modules: &[ModuleRef], held: &[trace::Held]) -> Variables {
        let roots = held.iter().flat_map(|held| &held.ways).filter_map(|way| way.root);
        let data = roots.filter(|root| root.kind == RootKind::Data).map(|root| root.address);
        let mut addresses: Vec<u64> =
            data.chain(held.iter().flat_map(|held| held.classes.keys().copied())).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let located = addresses.into_iter().filter_map(|address| Some((address, locate(trace, address)?)));
        let located: Vec<(u64, Request)> = located.collect();
        let requests: Vec<Request> = located.iter().map(|(_, request)| *request).collect();
        let found = names.symbolizer.variables(modules, &requests);
        let named = located.into_iter().zip(found);
        Variables(named.map(|((address, request), found)| (address, (request.module, found))).collect())
    }

    fn get(&self, address: u64) -> Option<&(usize, Option<Variable>)> {
        self.0.get(&address)
    }

    /// The way that most have in common, the shortest of these, and the share of them.
    fn most_common<'a>(&self, ways: &'a [Way]) -> Option<(f64, &'a Way)> {
        let mut counts: HashMap<WayKey, (usize, &Way)> = HashMap::new();
        for way in ways {
            let mut sites: Vec<Option<usize>> = Vec::new();
            for (site, _) in &way.steps {
                // Lists may go through the same stacks again and again.
                if site.is_some() && !sites.contains(site) {
                    sites.push(*site);
                }
            }
            let place = counts.entry((way.root.map(|root| self.key(root)), sites)).or_insert((0, way));
            place.0 += 1;
            if length(way) < length(place.1) {
                place.1 = way;
            }
        }
        let most = counts.into_iter().max_by(|(a, (m, _)), (b, (n, _))| m.cmp(n).then_with(|| b.cmp(a)))?;
        let (_, (count, way)) = most;
        Some((count as f64 / ways.len() as f64, way))
    }

    /// What people call the same root: all words of one variable are.
    fn key(&self, root: Root) -> RootKey {
        let of_data = self.get(root.address).filter(|_| root.kind == RootKind::Data);
        let variable = of_data.map(|(module, found)| {
            let start = found.as_ref().map(|variable| root.address.wrapping_sub(variable.offset));
            (*module, start)
        });
        (root.kind, variable)
    }

    fn root(&self, root: Root) -> NamedRoot {
        let of_data = self.get(root.address).filter(|_| root.kind == RootKind::Data);
        let (module, variable) = of_data.cloned().unzip();
        NamedRoot { kind: root.kind, address: root.address, module, variable: variable.flatten() }
    }

    fn class(&self, held: &trace::Held) -> Option<String> {
        let (table, blocks) = held.classes.iter().max_by_key(|(_, blocks)| **blocks)?;
        let (_, variable) = self.get(*table)?;
        let is_class = *blocks as f64 >= held.blocks as f64 * NEARLY_ALL;
        variable.as_ref().filter(|_| is_class).and_then(|variable| class_type(&variable.name))
    }
}

/// Sites of blocks that are lost with others, those with most bytes.
fn largest(held: &trace::Held) -> Vec<(usize, Amount)> {
    let mut all: Vec<(usize, Amount)> = held.lost.iter().map(|(site, amount)| (*site, *amount)).collect();
    all.sort_by_key(|(site, amount)| (Reverse(amount.bytes), *site));
    all.truncate(MOST_LOST);
    all
}

/// Blocks on a way, and words in a root that lead there.
fn length(way: &Way) -> (u64, Option<Root>) {
    (way.steps.iter().map(|(_, blocks)| blocks).sum(), way.root)
}

/// Frames and types by site, looked up all at once.
struct Stacks(HashMap<usize, (Vec<Frame>, Option<String>)>);

impl Stacks {
    fn look_up(trace: &Trace, names: &Names, mut sites: Vec<usize>) -> Stacks {
        sites.sort_unstable();
        sites.dedup();
        let named = NamedStacks::resolve(trace, names, sites.iter().map(|site| trace.sites[*site].stack));
        let look_up = |(place, site): (usize, &usize)| {
            let (frames, _) = named.frames(place, trace, names);
            let of = block_type(&frames, names.symbolizer.finds_inlines());
            (*site, (frames, of))
        };
        Stacks(sites.iter().enumerate().map(look_up).collect())
    }

    fn lost(&self, site: usize, amount: Amount) -> Lost {
        let (frames, block_type) = self.0.get(&site).cloned().unwrap_or_default();
        Lost { amount, frames, block_type }
    }

    fn step(&self, site: Option<usize>, blocks: u64, group: &Group) -> Step {
        let (frames, block_type) = site.and_then(|site| self.0.get(&site)).cloned().unwrap_or_default();
        let is_own = site.is_some_and(|site| group.sites.contains(&site));
        Step { blocks, frames, block_type, is_own }
    }
}

/// A root's kind, and the module and variable that it is in.
type RootKey = (RootKind, Option<(usize, Option<u64>)>);
/// Where a way begins, and the sites of the blocks between, each once.
type WayKey = (Option<RootKey>, Vec<Option<usize>>);
