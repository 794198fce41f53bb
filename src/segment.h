/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  Rules kept by name, and rules with these in their places.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SEGMENT_H
#define LS_SEGMENT_H

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "rule_format.h"

/* Does the rule name a segment, or a score whose conditions are kept elsewhere? */
extern bool ls_rule_names_others(const Rule *rule);

/* Does it, or a segment that it names, speak of a score that is kept elsewhere? */
extern bool ls_rule_looks_up_scores(const Rule *rule, const char *account);

/*
 * The rule with the rules of the segments it names, and of those that these
 * name, in their places, and so with those of scores, as they are in an account;
 * the rule itself where it names none.  A NULL snapshot is that of this moment.
 * Palloc'd.
 *
 * ls_segments_put raises an error where that cannot be done, ls_segments_try
 * returns the rule as it is.
 */
extern const Rule *ls_segments_put(const Rule *rule, const char *account,
								   Snapshot snapshot);
extern const Rule *ls_segments_try(const Rule *rule, const char *account,
								   Snapshot snapshot);

/*
 * Error 42501 unless the current user may read the segments and the score rules,
 * if the rule names any: for whoever is shown what they say.
 */
extern void ls_segments_check_rights(const Rule *rule);

#endif							/* LS_SEGMENT_H */
