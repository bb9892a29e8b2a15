"""Loops and instruction classes are read from what the disassembler prints."""

from benchmarks.kernels.sass import parse_listing

#: A masked and an unmasked loop over tiles within a persistent one, and a wait behind the EXIT.
LISTING = """
	.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   LDG.E R4, desc[UR18][R2.64] ;
.L_x_1:
        /*0020*/                   LDGSTS.E.BYPASS.128 [R9], desc[UR4][R4.64] ;
        /*0030*/                   HGMMA.64x128x16.F32.BF16 R24, gdesc[UR24], R24 ;
        /*0040*/                   MUFU.EX2 R3, R3 ;
        /*0050*/              @!P1 BRA `(.L_x_1) ;
.L_x_2:
        /*0060*/                   ISETP.GE.AND P0, PT, R1, R2, PT ;
        /*0070*/                   FSEL R3, R3, -INF , P0 ;
        /*0080*/                   HGMMA.64x128x16.F32.BF16 R24, gdesc[UR24], R24 ;
        /*0090*/              @!P1 BRA `(.L_x_4) ;
.L_x_5:
        /*00a0*/                   MUFU.EX2 R3, R3 ;
        /*00b0*/             @!UP0 BRA `(.L_x_2) ;
        /*00c0*/               @P0 BRA `(.L_x_0) ;
        /*00d0*/                   STL [R1], R2 ;
        /*00e0*/                   EXIT ;
.L_x_4:
        /*00f0*/                   SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [UR4], R2 ;
        /*0100*/                   BRA `(.L_x_5) ;
.L_x_6:
        /*0110*/                   BRA `(.L_x_6);
"""


def test_instructions_are_counted_by_class():
    """Predicates and modifiers do not hide an opcode."""
    counts = parse_listing(LISTING).counts()
    assert counts == {
        "wgmma": 2,
        "mma": 0,
        "cp_async": 1,
        "bulk_load": 0,
        "exp2": 2,
        "local": 1,
    }


def test_the_tile_loop_is_the_shortest_innermost_one_with_products():
    """Not the persistent loop, not the masked one, and no jump back from a wait."""
    listing = parse_listing(LISTING)
    assert listing.tile_loop() == 4
    assert (2, 5) in listing.loops


def test_a_kernel_without_products_has_no_tile_loop():
    """A planner loops, but over no tiles."""
    assert parse_listing(LISTING.replace("HGMMA", "FFMA")).tile_loop() == 0
