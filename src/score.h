/*-------------------------------------------------------------------------
 *
 * score.h
 *	  Score rules, as they are kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_SCORE_H
#define LS_SCORE_H

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "rule_format.h"

typedef struct ScoreRule
{
	int32		score_set_id;
	int32		score_rule_id;
	int32		points;
	Rule	   *rule;
} ScoreRule;

/*
 * The score rules in force of an account: those that are enabled, of enabled
 * sets, or of the set of a name (NULL: of all), oldest first.  False if there is
 * no set of that name.  A NULL snapshot is that of this moment.  Palloc'd.
 */
extern bool ls_score_rules(const char *account, const char *name, Snapshot snapshot,
						   List **rules);

#endif							/* LS_SCORE_H */
