//! What each instruction of a pickle does.

use super::machine::Machine;
use super::node::{Id, Node};
use crate::error::Result;

const NEWEST_PROTOCOL: u8 = 5;

impl Machine<'_> {
    /// Follows one instruction; the names are those of Python's `pickletools`.
    pub(super) fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO, FRAME
            0x80 => self.check_protocol(),
            0x95 => self.check_frame(),
            // MARK, POP, POP_MARK, DUP
            b'(' => self.mark(),
            b'0' => self.discard(),
            b'1' => self.pop_mark("POP_MARK").map(drop),
            b'2' => self.top("DUP").and_then(|top| self.push(top)),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Id::NONE),
            0x88 => self.push(Id::TRUE),
            0x89 => self.push(Id::FALSE),
            // INT, LONG, BININT, BININT1, BININT2, LONG1, LONG4
            b'I' => self.int_line(),
            b'L' => self.long_line(),
            b'J' => self.int(|input| input.array().map(i32::from_le_bytes)),
            b'K' => self.int(|input| input.byte()),
            b'M' => self.int(|input| input.array().map(u16::from_le_bytes)),
            0x8a => self.long(1),
            0x8b => self.long(4),
            // FLOAT, BINFLOAT
            b'F' => self.float_line(),
            b'G' => self.float(),
            // STRING, SHORT_BINSTRING, BINSTRING
            b'S' => self.string_line(),
            b'U' => self.string(1),
            b'T' => self.string(4),
            // UNICODE, SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            b'V' => self.unicode_line(),
            0x8c => self.unicode(1),
            b'X' => self.unicode(4),
            0x8d => self.unicode(8),
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' => self.bytes(1),
            b'B' => self.bytes(4),
            0x8e | 0x96 => self.bytes(8),
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Id::EMPTY_TUPLE),
            0x85 => self.short_tuple(1),
            0x86 => self.short_tuple(2),
            0x87 => self.short_tuple(3),
            b't' => self.tuple(),
            // EMPTY_LIST, LIST, APPEND, APPENDS
            b']' => self.push_new(Node::List(Vec::new())),
            b'l' => self.list(),
            b'a' => self.append(),
            b'e' => self.appends("APPENDS"),
            // EMPTY_DICT, DICT, SETITEM, SETITEMS
            b'}' => self.push_new(Node::Dict(Vec::new())),
            b'd' => self.dict(),
            b's' => self.set_item(),
            b'u' => self.set_items(),
            // EMPTY_SET, ADDITEMS, FROZENSET
            0x8f => self.push_new(Node::Set(Vec::new())),
            0x90 => self.appends("ADDITEMS"),
            0x91 => self.frozen_set(),
            // GLOBAL, STACK_GLOBAL
            b'c' => self.global_lines().and_then(|id| self.push(id)),
            0x93 => self.stack_global(),
            // REDUCE, BUILD, INST, OBJ, NEWOBJ, NEWOBJ_EX
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'i' => self.instance(),
            b'o' => self.object(),
            0x81 => self.new_object(),
            0x92 => self.new_object_with_keywords(),
            // PERSID, BINPERSID
            b'P' => self.persistent_line(),
            b'Q' => self.persistent(),
            // GET, BINGET, LONG_BINGET, PUT, BINPUT, LONG_BINPUT, MEMOIZE
            b'g' => self.memo_line().and_then(|number| self.recall(number)),
            b'h' => self.unsigned(1).and_then(|number| self.recall(number)),
            b'j' => self.unsigned(4).and_then(|number| self.recall(number)),
            b'p' => self.memo_line().and_then(|number| self.memoize(number)),
            b'q' => self.unsigned(1).and_then(|number| self.memoize(number)),
            b'r' => self.unsigned(4).and_then(|number| self.memoize(number)),
            0x94 => self.memoize_next(),
            // EXT1, EXT2, EXT4
            0x82..=0x84 => Err(self.input.unsupported(
                "it names a class by its number in Python's `copyreg` registry, which only the \
                 program that wrote it knows",
            )),
            // NEXT_BUFFER, READONLY_BUFFER
            0x97 | 0x98 => Err(self.input.unsupported(
                "it keeps bytes outside itself (out-of-band buffers), which only the program that \
                 wrote it has",
            )),
            unknown => Err(self.input.damaged(format_args!(
                "0x{unknown:02x} is no instruction of a pickle"
            ))),
        }
    }

    fn check_protocol(&mut self) -> Result<()> {
        let protocol = self.input.byte()?;
        if protocol > NEWEST_PROTOCOL {
            return Err(self.input.unsupported(format_args!(
                "it has protocol {protocol}, and this reader knows those up to {NEWEST_PROTOCOL}. \
                 Save it again with protocol {NEWEST_PROTOCOL}"
            )));
        }
        Ok(())
    }

    /// Frames only help Python to read in larger pieces; one that is too long shows a cut file.
    fn check_frame(&mut self) -> Result<()> {
        let length = self.unsigned(8)?;
        self.input.check(length)
    }
}
