import { Alert, Button, Modal, NativeSelect, Stack, TextInput } from '@mantine/core'
import { IconUserPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Dialog, Empty, Section, Snippet, Status, Table, Time, useConfirm, useWho } from '~/parts'

type Member = Shape<'MemberShown'>
const ROLES = ['member', 'admin', 'owner']

/** Who works in the account; its admins and owners invite, and change roles. */
export function Members() {
  const who = useWho()
  const manages = who.role !== 'member' && who.scopes.includes('admin')
  const { data, error } = useLive('/v1/member')
  const [invites, setInvites] = useState(false)
  const [made, setMade] = useState<Shape<'Invited'>>()
  const gone = useConfirm<Member>()
  const place = useAction((user: string, role: string) => post('/v1/member', { user, role }), { said: 'The change is made' })
  // Who is an admin makes and unmakes no owners.
  const most = who.owner || who.role === 'owner' ? ROLES : ROLES.filter((one) => one !== 'owner')
  const columns: Column<Member>[] = [
    { key: 'user', title: 'User', text: (one) => one.user, cell: (one) => <>{one.user} {one.user === who.user && <span className="pc-dim">(you)</span>}</> },
    { key: 'email', title: 'E-mail', from: 'sm', text: (one) => one.email, cell: (one) => one.email || <span className="pc-dim">none</span> },
    {
      key: 'role',
      title: 'Role',
      cell: (one) =>
        manages && one.user !== who.user && most.includes(one.role) ? (
          <NativeSelect size="xs" aria-label={`Role of ${one.user}`} w={110} data={most} value={one.role} onChange={(event) => void place.run(one.user, event.currentTarget.value)} />
        ) : (
          one.role
        ),
    },
    { key: 'password', title: 'Password', from: 'md', cell: (one) => (one.password ? 'set' : <Status state="waiting">none yet</Status>) },
    { key: 'created', title: 'Since', from: 'md', cell: (one) => <Ago at={one.created} /> },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        manages &&
        one.user !== who.user &&
        most.includes(one.role) && (
          <Button size="compact-xs" variant="default" onClick={() => gone.open(one)}>
            Remove
          </Button>
        ),
    },
  ]
  const invite = manages && (
    <Button leftSection={<IconUserPlus size={14} />} onClick={() => setInvites(true)}>
      Invite
    </Button>
  )
  return (
    <Section title="Members" actions={invite}>
      <Table label="Members" columns={columns} rows={data?.members} error={error} expected={2} id={(one) => one.user} empty={<Empty title="No members by name" more={<Snippet code="picloud admin user invite anna@example.org" />}>Keys work without any; people are invited by a link.</Empty>} />
      {invites && <Invite roles={most} onClose={() => setInvites(false)} onMade={setMade} />}
      {made && <Link made={made} onClose={() => setMade(undefined)} />}
      <Confirm {...gone.dialog} title={`Remove ${gone.about?.user}?`} action="Remove" run={() => gone.about && place.run(gone.about.user, 'none')}>
        She belongs to the account no more: she is logged out of it, and her keys for it are switched off. What she made stays.
      </Confirm>
    </Section>
  )
}

function Invite({ roles, onClose, onMade }: { roles: string[]; onClose: () => void; onMade: (made: Shape<'Invited'>) => void }) {
  const [email, setEmail] = useState('')
  const [role, setRole] = useState('member')
  const [hours, setHours] = useState('72')
  const invite = useAction(() => post('/v1/invitation', { email: email.trim(), role, hours: Number(hours) }), { quiet: true, then: onMade })
  return (
    <Dialog opened onClose={onClose} title="Invite somebody" action="Make the link" run={invite.run} busy={invite.busy} error={invite.error}>
      <TextInput label="E-mail address" type="email" description="Left out, whoever has the link may use it, once" value={email} onChange={(event) => setEmail(event.currentTarget.value)} data-autofocus />
      <NativeSelect label="Role" data={roles} value={role} onChange={(event) => setRole(event.currentTarget.value)} />
      <NativeSelect label="The link works for" data={[{ value: '24', label: 'a day' }, { value: '72', label: '3 days' }, { value: '336', label: '2 weeks' }]} value={hours} onChange={(event) => setHours(event.currentTarget.value)} />
    </Dialog>
  )
}

function Link({ made, onClose }: { made: Shape<'Invited'>; onClose: () => void }) {
  const { mailed } = made as { mailed?: boolean }
  return (
    <Modal opened onClose={onClose} title={<strong>The invitation</strong>} size="lg" closeOnClickOutside={false}>
      <Stack gap="md">
        <Alert color="yellow" variant="light">
          The link is shown only now, and works once, until <Time at={made.expires} />. {mailed ? 'It was mailed as well.' : 'Give it to whom it is for.'}
        </Alert>
        <Snippet code={made.link} />
      </Stack>
    </Modal>
  )
}
