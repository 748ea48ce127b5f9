//! Call frame information: from an address to the rule for stepping over its frame, decoded by gimli on fixed storage.

use super::find_object;
use super::registers::Registers;
use super::rules::{Fp, Kind, Rule};
use crate::arch::{self, FP, RA, SAVED, SP};
use crate::record::modules::{self, Image};
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, Encoding, EndianSlice, EvaluationResult, EvaluationStorage,
    Format, Location, NativeEndian, Operation, Piece, Register, RegisterRule, UnwindContext,
    UnwindContextStorage, UnwindExpression, UnwindSection, UnwindTableRow, Value,
};

type Slice = EndianSlice<'static, NativeEndian>;

/// Storage for gimli: more registers and saved rows than any compiler uses.
pub struct Storage;
impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); 40];
    type Stack = [UnwindTableRow<usize, Storage>; 3];
}
impl EvaluationStorage<Slice> for Storage {
    type Stack = [Value; 16];
    type ExpressionStack = [(Slice, Slice); 1];
    type Result = [Piece<Slice>; 1];
}

/// gimli's working memory; one per thread, because it is too large for a hook's stack.
pub type Context = UnwindContext<usize, Storage>;

const ENCODING: Encoding =
    Encoding { format: Format::Dwarf32, version: 4, address_size: size_of::<usize>() as u8 };

/// Where the instruction of a frame is looked up: a return address belongs to the call before it.
fn lookup_address(pc: usize, exact: bool) -> usize {
    if exact { pc } else { pc.wrapping_sub(1) }
}

/// The rule for the frame at `pc`, its module included.
#[cold]
pub fn rule(context: &mut Context, pc: usize, exact: bool) -> Rule {
    let Some(image) = find_object::find(lookup_address(pc, exact)) else {
        return Rule::of_kind(Kind::Guess);
    };
    let module = modules::number(&image);
    let mut at = |address: usize| {
        row(context, &image, address).map(|found| simple(&found, pc).unwrap_or(Rule::of_kind(Kind::Full)))
    };
    // A return address that nothing was called before is the start of a function that was put there by hand (makecontext).
    let rule = at(lookup_address(pc, exact)).or_else(|| at(pc)).or_else(|| {
        // SAFETY: an exact address is where a signal has come.
        let linkage = if exact { unsafe { arch::linkage_cfa(pc) } } else { None };
        Rule::new(Kind::Sp, linkage?, Fp::Same, 0)
    });
    rule.unwrap_or(Rule::of_kind(Kind::Guess)).in_module(module)
}

/// A row of the unwind table, and what is needed to evaluate its expressions.
struct Row<'a> {
    row: &'a UnwindTableRow<usize, Storage>,
    eh_frame: EhFrame<Slice>,
    signal: bool,
}

fn row<'a>(context: &'a mut Context, image: &Image, address: usize) -> Option<Row<'a>> {
    if image.eh_frame_header == 0 || image.eh_frame_header >= image.end {
        return None;
    }
    let section = |start: usize| {
        let length = image.end.checked_sub(start).filter(|_| start >= image.start)?;
        // Its sections end somewhere before the image's end; gimli follows lengths and offsets only within the slice.
        // SAFETY: inside the image, which is mapped while its code runs.
        let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, length) };
        Some(EndianSlice::new(bytes, NativeEndian))
    };
    let bases = BaseAddresses::default().set_eh_frame_hdr(image.eh_frame_header as u64);
    let header =
        EhFrameHdr::from(section(image.eh_frame_header)?).parse(&bases, ENCODING.address_size).ok()?;
    let start = header.eh_frame_ptr().direct().ok()? as usize;
    let eh_frame = EhFrame::from(section(start)?);
    let bases = bases.set_eh_frame(start as u64);
    let table = header.table()?;
    let fde = table.fde_for_address(&eh_frame, &bases, address as u64, EhFrame::cie_from_offset).ok()?;
    let signal = fde.is_signal_trampoline();
    let row = fde.unwind_info_for_address(&eh_frame, &bases, context, address as u64).ok()?;
    Some(Row { row, eh_frame, signal })
}

impl Row<'_> {
    fn register(&self, register: u16) -> RegisterRule<usize> {
        let unspecified = if register == RA && cfg!(target_arch = "x86_64") {
            RegisterRule::Undefined
        } else {
            RegisterRule::SameValue
        };
        self.row.register(Register(register)).unwrap_or(unspecified)
    }

    fn bytes(&self, expression: &UnwindExpression<usize>) -> Option<Slice> {
        expression.get(&self.eh_frame).ok().map(|expression| expression.0)
    }
}

/// The rule in terms of pc, sp and frame pointer only, if that is all it takes.
fn simple(found: &Row<'_>, pc: usize) -> Option<Rule> {
    if found.signal && cfg!(target_arch = "x86_64") {
        return Some(Rule::of_kind(Kind::Signal));
    }
    match found.register(RA) {
        RegisterRule::Undefined => return Some(Rule::of_kind(Kind::Outermost)),
        RegisterRule::Offset(-8) if cfg!(target_arch = "x86_64") => {}
        _ => return None,
    }
    let (kind, cfa_offset) = match found.row.cfa() {
        CfaRule::RegisterAndOffset { register: Register(SP), offset } => (Kind::Sp, *offset),
        CfaRule::RegisterAndOffset { register: Register(FP), offset } => (Kind::Fp, *offset),
        CfaRule::RegisterAndOffset { .. } => return None,
        CfaRule::Expression(expression) => {
            let bytes = found.bytes(expression)?;
            match operations(bytes) {
                Some(
                    [
                        Some(Operation::RegisterOffset { register: Register(FP), offset, .. }),
                        Some(Operation::Deref { .. }),
                    ],
                ) => (Kind::AtFp, offset),
                _ => (Kind::Sp, constant_above_sp(bytes, pc)?),
            }
        }
    };
    let (fp, fp_offset) = match found.register(FP) {
        RegisterRule::SameValue | RegisterRule::Undefined => (Fp::Same, 0),
        RegisterRule::Offset(offset) => (Fp::AtCfa, offset),
        RegisterRule::Expression(expression) => match operations(found.bytes(&expression)?)? {
            [Some(Operation::RegisterOffset { register: Register(FP), offset, .. }), None] => {
                (Fp::AtPointer, offset)
            }
            _ => return None,
        },
        _ => return None,
    };
    Rule::new(kind, cfa_offset, fp, fp_offset)
}

/// The operations of an expression of one or two; `None` if it has more.
fn operations(bytes: Slice) -> Option<[Option<Operation<Slice>>; 2]> {
    let mut iterator = gimli::Expression(bytes).operations(ENCODING);
    let mut next = || iterator.next().ok();
    let operations = [next()?, next()?];
    next()?.is_none().then_some(operations)
}

/// The distance from sp to the CFA, if the expression depends on nothing else but pc (the procedure linkage table).
fn constant_above_sp(bytes: Slice, pc: usize) -> Option<i64> {
    let at = |sp: usize| {
        let registers = |register: u16| match register {
            SP => Some(sp),
            RA => Some(pc),
            _ => None,
        };
        evaluate(bytes, None, registers, |_| None).map(|cfa| cfa.wrapping_sub(sp) as i64)
    };
    let offset = at(1 << 20)?;
    (at(3 << 20)? == offset).then_some(offset)
}

/// Evaluates an expression (DWARF 5, section 2.5); `None` where a register or memory is not to be had.
fn evaluate(
    bytes: Slice,
    initial: Option<usize>,
    register: impl Fn(u16) -> Option<usize>,
    mut memory: impl FnMut(usize) -> Option<usize>,
) -> Option<usize> {
    let mut evaluation = gimli::Evaluation::<Slice, Storage>::new_in(bytes, ENCODING);
    if let Some(initial) = initial {
        evaluation.set_initial_value(initial as u64);
    }
    evaluation.set_max_iterations(1000);
    let mut state = evaluation.evaluate().ok()?;
    loop {
        state = match state {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register: Register(number), .. } => {
                evaluation.resume_with_register(Value::Generic(register(number)? as u64)).ok()?
            }
            EvaluationResult::RequiresMemory { address, size: 8, .. } => {
                evaluation.resume_with_memory(Value::Generic(memory(address as usize)? as u64)).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.as_result() {
        [Piece { location: Location::Address { address }, .. }] => Some(*address as usize),
        [Piece { location: Location::Value { value: Value::Generic(value) }, .. }] => Some(*value as usize),
        _ => None,
    }
}

/// What a full step came to.
pub enum Step {
    /// The registers are the caller's now; its pc is exact if this was a signal frame.
    Caller {
        /// Whether the caller was interrupted rather than calling.
        exact: bool,
    },
    /// This was the thread's first frame.
    Outermost,
    /// There is no call frame information.
    Unknown,
    /// It cannot be done.
    Failed,
}

/// The module of the frame at `pc`.
pub fn module(pc: usize, exact: bool) -> u16 {
    find_object::find(lookup_address(pc, exact)).map_or(0, |image| modules::number(&image))
}

/// Steps over one frame with all callee-saved registers.
pub fn step(
    context: &mut Context,
    registers: &mut Registers,
    exact: bool,
    mut memory: impl FnMut(usize) -> Option<usize>,
) -> Step {
    let address = lookup_address(registers.pc, exact);
    let Some(image) = find_object::find(address) else { return Step::Unknown };
    let pc = registers.pc;
    let address = if row(context, &image, address).is_some() { address } else { pc };
    let Some(found) = row(context, &image, address) else { return Step::Unknown };
    match caller(&found, registers, &mut memory) {
        Some(Some(caller)) => {
            *registers = caller;
            Step::Caller { exact: found.signal }
        }
        Some(None) => Step::Outermost,
        None => Step::Failed,
    }
}

/// The caller's registers; `Some(None)` if there is no caller.
fn caller(
    found: &Row<'_>,
    registers: &Registers,
    memory: &mut impl FnMut(usize) -> Option<usize>,
) -> Option<Option<Registers>> {
    let get = |register: u16| registers.get(register);
    let cfa = match found.row.cfa() {
        CfaRule::RegisterAndOffset { register: Register(register), offset } => {
            get(*register)?.wrapping_add(*offset as usize)
        }
        CfaRule::Expression(expression) => evaluate(found.bytes(expression)?, None, get, &mut *memory)?,
    };
    let mut value = |register: u16, rule: RegisterRule<usize>| match rule {
        RegisterRule::SameValue => get(register),
        RegisterRule::Offset(offset) => memory(cfa.wrapping_add(offset as usize)),
        RegisterRule::ValOffset(offset) => Some(cfa.wrapping_add(offset as usize)),
        RegisterRule::Register(Register(other)) => get(other),
        RegisterRule::Expression(expression) => {
            let address = evaluate(found.bytes(&expression)?, Some(cfa), get, &mut *memory)?;
            memory(address)
        }
        RegisterRule::ValExpression(expression) => {
            evaluate(found.bytes(&expression)?, Some(cfa), get, &mut *memory)
        }
        RegisterRule::Constant(value) => Some(value as usize),
        _ => None,
    };
    let return_rule = found.register(RA);
    if return_rule == RegisterRule::Undefined {
        return Some(None);
    }
    let mut caller = Registers { pc: value(RA, return_rule)?, sp: cfa, ..*registers };
    caller.lr = caller.pc;
    // A register whose value is lost (undefined, or outside the readable stack) matters only if someone asks for it.
    for register in SAVED.into_iter().chain([FP]) {
        let rule = found.register(register);
        if rule != RegisterRule::SameValue {
            caller.set(register, value(register, rule).unwrap_or(0));
        }
    }
    // A signal frame says where the stack pointer was; elsewhere it is the CFA.
    if let Some(rule) = found.row.register(Register(SP)) {
        caller.sp = value(SP, rule)?;
    }
    Some(Some(caller))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    // An entry of a procedure linkage table, with the call frame information that linkers make for it: the CFA is
    // sp + 8, and 8 more from the entry's byte 11 on.
    core::arch::global_asm!(
        ".p2align 4",
        "libleak_test_plt_entry:",
        ".cfi_startproc",
        ".cfi_escape 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22",
        "jmp libleak_test_plt_entry",
        ".p2align 4",
        ".cfi_endproc",
    );
    unsafe extern "C" {
        fn libleak_test_plt_entry();
    }

    #[test]
    fn the_procedure_linkage_table_has_rules_without_other_registers() {
        let mut context = Box::new(Context::new_in());
        let entry = libleak_test_plt_entry as *const () as usize;
        let image = find_object::find(entry).expect("the test's own image");
        for (offset, cfa_offset) in [(0, 8), (10, 8), (11, 16), (15, 16)] {
            let pc = entry + offset;
            let rule = simple(&row(&mut context, &image, pc).expect("a row"), pc).expect("a rule");
            assert_eq!((rule.kind(), rule.cfa_offset()), (Kind::Sp, cfa_offset), "at byte {offset}");
        }
    }

    #[test]
    fn stubs_without_call_frame_information_are_known_by_their_code() {
        let at = |code: [u8; 16]| {
            // SAFETY: as long as two instructions.
            unsafe { arch::linkage_cfa(code.as_ptr() as usize) }
        };
        let padded = |code: &[u8]| {
            let mut padded = [0xcc; 16];
            padded[..code.len()].copy_from_slice(code);
            padded
        };
        assert_eq!(at(padded(&[0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25])), Some(8));
        assert_eq!(at(padded(&[0xff, 0x25, 1, 2, 3, 4])), Some(8));
        assert_eq!(at(padded(&[0x68, 1, 0, 0, 0, 0xe9, 1, 2, 3, 4])), Some(8));
        assert_eq!(at(padded(&[0x68, 1, 0, 0, 0, 0xc3])), None, "a push that no stub has");
        assert_eq!(at(padded(&[0x55, 0x48, 0x89, 0xe5])), None, "a function's beginning");
    }
}
