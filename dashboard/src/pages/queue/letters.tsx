import { Anchor, Button, Group, Modal, Stack } from '@mantine/core'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, causeWords, type Column, Confirm, Empty, format, Pager, Section, Snippet, Table, useConfirm, usePager, useWho } from '~/parts'
import classes from './queue.module.css'

type Letter = Shape<'Letter'>
/** What one answer holds at most. */
const PAGE = 100

/** KeyError: 'count'. */
const said = ({ failure }: Letter) => failure?.message || failure?.type || causeWords(failure?.cause ?? 'unknown')
const times = (count: number, one: string, several: string) => `${format.count(count)} ${count === 1 ? one : several}`
const messages = (count: number) => times(count, 'message', 'messages')

const columns = (open: (one: Letter) => void): Column<Letter>[] => [
  {
    key: 'error',
    title: 'Error',
    text: said,
    cell: (one) => (
      <button type="button" className={classes.open} onClick={() => open(one)}>
        <span className={classes.preview}>{said(one)}</span>
      </button>
    ),
  },
  { key: 'message', title: 'Message', text: (one) => one.preview, cell: (one) => <span className="pc-mono">{one.preview}</span> },
  { key: 'died', title: 'When', cell: (one) => <Ago at={one.died} /> },
  { key: 'retries', title: 'Retries', align: 'right', from: 'md', cell: (one) => one.retries },
]

/** Messages that failed for good: why, and back into the queue, or away. */
export function Letters({ name, count }: { name: string; count: number | undefined }) {
  const pages = usePager('letter')
  const { data, error, stale } = useLive('/v1/queue/dead', { name, before: pages.cursor ? Number(pages.cursor) : undefined })
  const [chosen, choose] = useState<ReadonlySet<string | number>>(new Set())
  const [opened, open] = useState<Letter>()
  const may = useWho().scopes.includes('queue')
  const act = useActs(name, () => {
    choose(new Set())
    open(undefined)
  })
  const asking = useConfirm<number[] | null>()
  const about = asking.about ? asking.about.length : (count ?? 0)
  const rows = data?.dead
  const last = rows && rows.length >= PAGE ? rows.at(-1)?.id : undefined
  const buttons = (ids: number[] | null, all = '') => (
    <Group gap="xs">
      <Button variant="default" size="compact-sm" loading={act.replay.busy} onClick={() => void act.replay.run(ids)}>
        Replay{all}
      </Button>
      <Button variant="default" size="compact-sm" onClick={() => asking.open(ids)}>
        Discard{all}
      </Button>
    </Group>
  )
  return (
    <Section title="Dead letters" actions={may && Boolean(rows?.length) && buttons(null, ' all')}>
      <Stack gap="xs">
        <Table
          label="Dead letters"
          columns={columns(open)}
          rows={rows}
          error={error}
          stale={stale}
          expected={2}
          height="28rem"
          id={(one) => one.id}
          name={(one) => `dead letter ${one.id}`}
          chosen={may ? chosen : undefined}
          onChoose={may ? choose : undefined}
          bulk={may ? (some) => buttons(some.map((one) => one.id)) : undefined}
          empty={<Empty title="No dead letters" more={<Snippet code={`queue = cloud.queue.get(${JSON.stringify(name)})\nfor letter in queue.dead():\n    print(letter.exception)\nqueue.replay()                       # back into the queue`} />}>A message that failed for good is set aside here with its exception and traceback.</Empty>}
        />
        <Pager pages={pages} next={last} />
      </Stack>
      <Modal opened={opened !== undefined} onClose={() => open(undefined)} size="xl" title={<strong>Dead letter {opened?.id}</strong>}>
        {opened && <Whole letter={opened} />}
        {opened && may && (
          <Group justify="flex-end" mt="md">
            {buttons([opened.id])}
          </Group>
        )}
      </Modal>
      <Confirm {...asking.dialog} title={`Discard ${messages(about)}?`} action="Discard" run={() => act.bury.run(asking.about ?? null)}>
        They are removed for good, with what they tell of their failure.
      </Confirm>
    </Section>
  )
}

function useActs(name: string, then: () => void) {
  const replay = useAction((ids: number[] | null) => post('/v1/queue/replay', { name, ids }), { said: ({ replayed }) => `${messages(replayed)} put back into the queue`, then })
  const bury = useAction((ids: number[] | null) => post('/v1/queue/bury', { name, ids }), { said: ({ removed }) => `${messages(removed)} discarded`, then })
  return { replay, bury }
}

function Whole({ letter }: { letter: Letter }) {
  const { failure } = letter
  return (
    <Stack gap="sm">
      <div>
        <strong className={classes.wrap}>{said(letter)}</strong>
        {failure?.advice && <div className="pc-dim">{failure.advice}</div>}
      </div>
      {failure?.traceback && <Text label="Traceback" text={failure.traceback} />}
      {failure?.log_tail && <Text label="The last lines it printed" text={failure.log_tail} />}
      <Text label="The message" text={letter.preview} />
      {letter.url && (
        <Anchor href={letter.url} download size="sm">
          Download its bytes
        </Anchor>
      )}
      <div className="pc-dim">
        Pushed <Ago at={letter.pushed} />, given out {times(letter.given, 'time', 'times')}, {times(letter.retries, 'retry', 'retries')}{letter.deaths > 0 && `, ${letter.deaths} of its readers died`}; {causeWords(failure?.cause ?? 'unknown')} <Ago at={letter.died} />.
      </div>
    </Stack>
  )
}

const Text = ({ label, text }: { label: string; text: string }) => (
  <div>
    <div className="pc-dim">{label}</div>
    {/* It scrolls, so the keyboard must reach it. */}
    {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
    <pre className={classes.text} tabIndex={0} aria-label={label}>
      {text}
    </pre>
  </div>
)
