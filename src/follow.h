/*-------------------------------------------------------------------------
 *
 * follow.h
 *	  Columns that get other names are followed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_FOLLOW_H
#define LS_FOLLOW_H

/* Put on record how the columns of attached tables are called, where it is not. */
extern void ls_columns_note(void);

#endif							/* LS_FOLLOW_H */
