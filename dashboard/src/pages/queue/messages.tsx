import { Anchor, Modal } from '@mantine/core'
import { useState } from 'react'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, Bytes, type Column, Empty, Section, Snippet, Status, Table, Time } from '~/parts'
import classes from './queue.module.css'

type Message = Shape<'InsideMessage'>

const WORDS: Record<string, string> = { ready: 'waiting', delayed: 'delayed', in_hand: 'in hand' }
const TONES = { ready: 'waits', delayed: 'off', in_hand: 'busy' } as const

const isShown = (one: Message) => one.kind === 'json' && one.text === undefined && one.url === undefined

/** A message as far as it can be read here. */
function preview(one: Message): string {
  if (one.kind !== 'json') return 'a Python object'
  if (one.url) return 'JSON, too long to show'
  return one.text === undefined ? JSON.stringify(one.json) : `${one.text}…`
}

const columns = (open: (one: Message) => void): Column<Message>[] => [
  {
    key: 'value',
    title: 'Message',
    text: (one) => preview(one).slice(0, 500),
    cell: (one) => (
      <button type="button" className={classes.open} onClick={() => open(one)}>
        <span className={`pc-mono ${classes.preview}`}>{one.kind === 'json' && !one.url ? preview(one).slice(0, 300) : <span className="pc-dim">{preview(one)}</span>}</span>
      </button>
    ),
  },
  { key: 'state', title: 'State', cell: (one) => <Status state={one.state} tone={TONES[one.state as keyof typeof TONES]}>{WORDS[one.state] ?? one.state}</Status> },
  { key: 'pushed', title: 'Pushed', from: 'sm', cell: (one) => <Ago at={one.pushed} /> },
  { key: 'size', title: 'Size', align: 'right', cell: (one) => <Bytes value={one.size} /> },
  { key: 'given', title: 'Given out', align: 'right', from: 'md', cell: (one) => one.given },
  { key: 'retries', title: 'Retries', align: 'right', from: 'sm', cell: (one) => one.retries },
  { key: 'id', title: 'Number', align: 'right', from: 'md', cell: (one) => one.id },
]

/** The next messages; looking takes none. */
export function Messages({ name }: { name: string }) {
  const { data, error } = useLive('/v1/queue/{queue}/peek', { queue: name, limit: 20 })
  const [opened, open] = useState<Message>()
  return (
    <Section title="Next messages" actions={<span className="pc-dim">a look takes none</span>}>
      <Table
        label="Next messages"
        columns={columns(open)}
        rows={data?.messages}
        error={error}
        expected={3}
        height="24rem"
        id={(one) => one.id}
        empty={
          <Empty title="The queue is empty" more={<Snippet code={`cloud.queue.get(${JSON.stringify(name)}).push([{"n": 1}, "two"])`} />}>
            Messages are numbers, texts, lists and dicts, or any Python objects.
          </Empty>
        }
      />
      <Modal opened={opened !== undefined} onClose={() => open(undefined)} size="lg" title={<strong>Message {opened?.id}</strong>}>
        {opened && <Whole message={opened} />}
      </Modal>
    </Section>
  )
}

function Whole({ message }: { message: Message }) {
  return (
    <>
      {message.kind === 'json' && !message.url ? (
        // It scrolls, so the keyboard must reach it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre className={classes.text} tabIndex={0} aria-label="The message">
          {isShown(message) ? JSON.stringify(message.json, null, 2) : preview(message)}
        </pre>
      ) : (
        <p>A {message.kind === 'json' ? 'long JSON value' : 'Python object: only your programs can load it'}.</p>
      )}
      {message.url && (
        <p>
          <Anchor href={message.url} download>
            Download its bytes
          </Anchor>
        </p>
      )}
      <dl className={classes.facts}>
        <div>
          <dt>Pushed</dt>
          <dd>
            <Time at={message.pushed} />
          </dd>
        </div>
        {message.state !== 'ready' && (
          <div>
            <dt>{message.state === 'delayed' ? 'Can be had' : 'Comes back'}</dt>
            <dd>{message.due === null ? 'when its job ends' : <Time at={message.due} />}</dd>
          </div>
        )}
        <div>
          <dt>Given out</dt>
          <dd>
            {message.given} times, {message.retries} retries{message.deaths > 0 && `, ${message.deaths} of its readers died`}
          </dd>
        </div>
      </dl>
    </>
  )
}
