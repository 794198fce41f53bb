/*-------------------------------------------------------------------------
 *
 * seed.h
 *	  Seeding the clock queue for streams that are new to it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SEED_H
#define LS_SEED_H

/* Seed all streams that wait for it, unless somebody else does.  Needs SPI. */
extern void ls_seed_unseeded(void);

#endif							/* LS_SEED_H */
