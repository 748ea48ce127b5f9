# A program of another architecture: 32-bit x86. It ends with 7.
    .globl _start
_start:
    mov $1, %eax # exit
    mov $7, %ebx
    int $0x80
