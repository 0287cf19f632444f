import { Alert, Button, Modal, Stack, TextInput } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Dialog, Section, Snippet, Status, Table, useConfirm, useWho } from '~/parts'

type Account = Shape<'AccountShown'>

/** All accounts: made, switched off and on, removed. */
export function Accounts() {
  const who = useWho()
  const { data, error } = useLive('/v1/admin/account')
  const [adds, setAdds] = useState(false)
  const [made, setMade] = useState<Shape<'FirstKey'>>()
  const off = useConfirm<string>()
  const gone = useConfirm<string>()
  const turn = useAction((name: string, active: boolean) => post('/v1/admin/account/change', { name, active }), { said: (one) => `${one.name} is switched ${one.active ? 'on' : 'off'}` })
  const remove = useAction((name: string) => post('/v1/admin/account/remove', { name }), { said: (one) => `${one.name} is removed; what it had is being cleared away` })
  const columns: Column<Account>[] = [
    { key: 'name', title: 'Account', text: (one) => one.name, sort: (one) => one.name, cell: (one) => <>{one.name} {one.name === who.account && <span className="pc-dim">(yours)</span>}</> },
    { key: 'state', title: 'State', cell: (one) => <Status state={one.going ? 'stalled' : one.active ? 'active' : 'inactive'}>{one.going ? 'being cleared away' : one.active ? 'on' : 'off'}</Status> },
    { key: 'created', title: 'Created', from: 'sm', sort: (one) => one.created, cell: (one) => <Ago at={one.created} /> },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        !one.going &&
        one.name !== who.account && (
          <>
            <Button size="compact-xs" variant="default" onClick={() => (one.active ? off.open(one.name) : void turn.run(one.name, true))}>
              {one.active ? 'Switch off' : 'Switch on'}
            </Button>
            {!one.active && (
              <Button size="compact-xs" variant="default" ml={6} onClick={() => gone.open(one.name)}>
                Remove
              </Button>
            )}
          </>
        ),
    },
  ]
  const add = (
    <Button leftSection={<IconPlus size={14} />} onClick={() => setAdds(true)}>
      Add an account
    </Button>
  )
  return (
    <Section title="Accounts" actions={add}>
      <Table label="Accounts" columns={columns} rows={data?.accounts} error={error} expected={3} id={(one) => `${one.name}/${one.going ? one.created : ''}`} />
      {adds && <Add onClose={() => setAdds(false)} onMade={setMade} />}
      {made && <Made made={made} onClose={() => setMade(undefined)} />}
      <Confirm {...off.dialog} title={`Switch ${off.about} off?`} action="Switch off" run={() => (off.about === undefined ? undefined : turn.run(off.about, false))}>
        Its keys and logins open nothing from that moment on, and what it runs is killed. What waits goes on when it is switched on again; data stays.
      </Confirm>
      <Confirm {...gone.dialog} title={`Remove ${gone.about} for good?`} action="Remove" type={gone.about} run={() => (gone.about === undefined ? undefined : remove.run(gone.about))}>
        Jobs, results, files, queues, environments, secrets: all that the account has is cleared away. This cannot be undone.
      </Confirm>
    </Section>
  )
}

function Add({ onClose, onMade }: { onClose: () => void; onMade: (made: Shape<'FirstKey'>) => void }) {
  const [name, setName] = useState('')
  const add = useAction(() => post('/v1/admin/account', { name: name.trim() }), { quiet: true, then: onMade })
  return (
    <Dialog opened onClose={onClose} title="Add an account" action="Add" run={add.run} busy={add.busy} error={add.error}>
      <TextInput label="Name" description="Of a person or a project; people are invited to it afterwards" required value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
    </Dialog>
  )
}

function Made({ made, onClose }: { made: Shape<'FirstKey'>; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={<strong>{`The account ${made.name} is there`}</strong>} size="lg" closeOnClickOutside={false}>
      <Stack gap="md">
        <Alert color="yellow" variant="light">
          Its first key is shown only now. Whoever has it works as the account; people by name come in by an invitation.
        </Alert>
        <Snippet title="On the machine that uses it" code={`picloud setup ${location.origin} -a ${made.api_key} -k ${made.api_secretkey}`} />
        <Snippet title="To invite somebody" code={`picloud admin user invite --account ${made.name}`} />
      </Stack>
    </Modal>
  )
}
