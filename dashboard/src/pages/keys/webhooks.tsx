import { Alert, Anchor, Button, Modal, Stack, TextInput } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { Link } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Ago, type Column, Confirm, Dialog, Empty, Pager, Section, Snippet, Status, Table, type Tone, useConfirm, usePager, useWho } from '~/parts'
import classes from './keys.module.css'

type Webhook = Shape<'WebhookShown'>
type Delivery = Shape<'DeliveryShown'>

const PAGE = 50
const TONES: Record<string, Tone> = { waiting: 'waits', delivered: 'good', failed: 'bad' }

/** Webhooks: who is told when jobs of a label end, and what became of it. */
export function Webhooks() {
  const may = useWho().scopes.includes('admin')
  const { data, error } = useLive('/v1/webhook')
  const [adds, setAdds] = useState(false)
  const [secret, setSecret] = useState<string>()
  const ask = useConfirm<Webhook>()
  const remove = useAction((label: string) => post('/v1/webhook/remove', { label }), { said: 'The webhook is removed' })
  const columns: Column<Webhook>[] = [
    { key: 'label', title: 'Jobs of label', text: (one) => one.label, cell: (one) => one.label || <span className="pc-dim">any that names an address</span> },
    { key: 'url', title: 'Address', text: (one) => one.url, cell: (one) => (one.url ? <span className="pc-mono">{one.url}</span> : <span className="pc-dim">in the call</span>) },
    { key: 'created', title: 'Created', from: 'sm', cell: (one) => <Ago at={one.created} /> },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        may && (
          <Button size="compact-xs" variant="default" onClick={() => ask.open(one)}>
            Remove
          </Button>
        ),
    },
  ]
  const add = may && (
    <Button leftSection={<IconPlus size={14} />} onClick={() => setAdds(true)}>
      Add a webhook
    </Button>
  )
  return (
    <div className={classes.stack}>
      <Section title="Webhooks" actions={add}>
        <Table
          label="Webhooks"
          columns={columns}
          rows={data?.webhooks}
          error={error}
          expected={2}
          id={(one) => one.label}
          empty={<Empty title="No webhooks yet" more={<Snippet code={'import cloud\n\nsecret = cloud.webhook.set("nightly", "https://example.org/ended")\ncloud.call(report, _label="nightly")'} />}>An address of yours gets a signed POST when jobs of a label end.</Empty>}
        />
      </Section>
      <Deliveries />
      {adds && <Put onClose={() => setAdds(false)} onMade={setSecret} />}
      {secret && (
        <Modal opened onClose={() => setSecret(undefined)} title={<strong>The secret that signs</strong>} closeOnClickOutside={false}>
          <Stack gap="md">
            <Alert color="yellow" variant="light">
              It is shown only now. Whoever receives the calls checks their signature by it.
            </Alert>
            <Snippet code={secret} />
          </Stack>
        </Modal>
      )}
      <Confirm {...ask.dialog} title={`Remove the webhook of ${ask.about?.label || 'calls'}?`} action="Remove" run={() => ask.about && remove.run(ask.about.label)}>
        What waits to be delivered to it is given up.
      </Confirm>
    </div>
  )
}

function Put({ onClose, onMade }: { onClose: () => void; onMade: (secret: string) => void }) {
  const [label, setLabel] = useState('')
  const [url, setUrl] = useState('')
  const put = useAction(() => post('/v1/webhook', { label, url: url.trim() }), { quiet: true, then: (answer) => onMade(answer.secret) })
  return (
    <Dialog opened onClose={onClose} title="Add a webhook" action="Add" run={put.run} busy={put.busy} error={put.error}>
      <TextInput label="Label" description="Of the jobs whose end is told; one that is there already is replaced" required value={label} onChange={(event) => setLabel(event.currentTarget.value)} data-autofocus />
      <TextInput label="Address" type="url" required placeholder="https://example.org/ended" value={url} onChange={(event) => setUrl(event.currentTarget.value)} />
    </Dialog>
  )
}

function Deliveries() {
  const pages = usePager()
  const { data, error, stale } = useLive('/v1/webhook/delivery', { limit: PAGE, before: pages.cursor ? Number(pages.cursor) : undefined })
  const rows = data?.deliveries
  const job = (one: Delivery) => {
    const href = linked(to.job(one.jid))
    return href ? (
      <Anchor component={Link} href={href} size="md">
        {one.jid}
      </Anchor>
    ) : (
      one.jid
    )
  }
  const columns: Column<Delivery>[] = [
    { key: 'state', title: 'State', text: (one) => one.trouble, cell: (one) => <Status state={one.state} tone={TONES[one.state]}>{one.state}</Status> },
    { key: 'jid', title: 'Job', cell: job },
    { key: 'event', title: 'Event', from: 'sm', cell: (one) => one.event },
    { key: 'url', title: 'Address', text: (one) => one.url, cell: (one) => <span className="pc-mono">{one.url}</span> },
    { key: 'tries', title: 'Tries', align: 'right', from: 'sm', cell: (one) => one.tries },
    { key: 'answer', title: 'Answer', from: 'md', text: (one) => one.trouble, cell: (one) => one.answer ?? (one.trouble || <span className="pc-dim">none yet</span>) },
    { key: 'created', title: 'When', align: 'right', cell: (one) => <Ago at={one.ended ?? one.created} /> },
  ]
  return (
    <Section title="Deliveries">
      <Table label="Deliveries" columns={columns} rows={rows} error={error} stale={stale} expected={3} id={(one) => one.id} empty={<Empty title="Nothing was told yet">Each end of a job that is told to a webhook stands here, with its tries.</Empty>} />
      <div style={{ height: '0.5rem' }} />
      <Pager pages={pages} next={rows && rows.length === PAGE ? rows.at(-1)?.id : null} />
    </Section>
  )
}
